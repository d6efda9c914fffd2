"""What is typed and takes one file; `scripts/` has a line for each."""
