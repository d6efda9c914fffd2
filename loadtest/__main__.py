"""`python -m loadtest`: the same as scripts/loadtest."""

from tools.entry import run_main  # first: it hears a stop, and refuses a Python that is too old

# isort: split
from loadtest.cli import main

if __name__ == "__main__":
    run_main(main)
