"""`python -m webhook`."""

from webhook.early import end, prepare

if __name__ == "__main__":
    prepare()
    from webhook.cli import main  # which takes a third of a second

    end(main())
