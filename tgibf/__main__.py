"""`python -m tgibf`."""

from tgibf.early import begin, end_with

if __name__ == "__main__":
    begin()
    from tgibf.cli import main  # which takes a moment

    end_with(main)
