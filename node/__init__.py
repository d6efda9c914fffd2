"""What a node runs. Its programs are in `bin/`; standard library only, but where one says so."""
