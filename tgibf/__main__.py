"""`python -m tgibf`."""

from tgibf.early import begin, end_with, end_without

if __name__ == "__main__":
    begin()
    try:
        from tgibf.cli import main  # which takes a moment
    except ModuleNotFoundError as error:
        end_without(error)
    end_with(main)
