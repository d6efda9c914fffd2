"""Features of this machine's kernel: namespaces, a switch between them, control groups."""
