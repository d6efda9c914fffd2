"""What tests share: real processes, raw sockets, direct looks into the store."""
