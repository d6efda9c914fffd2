"""What a node runs. Its programs are in `bin/`; standard library only, unless one says so."""
