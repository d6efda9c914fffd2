"""`python -m webhook`."""

from webhook.early import end, end_without, prepare

if __name__ == "__main__":
    prepare()
    try:
        from webhook.cli import main  # which takes a third of a second
    except ModuleNotFoundError as error:
        end_without(error)
    end(main())
