"""One line in the log for what may happen thousands of times."""

import logging

SECONDS = 60.0  # between two lines


class Notice:
    """Says `message` as a warning, and then nothing for a minute."""

    def __init__(self, log: logging.Logger, message: str) -> None:
        self._log = log
        self._message = message
        self._next = 0.0

    def say(self, now: float, *arguments: object) -> None:
        """It has happened, at `now` in monotonic seconds."""
        if now >= self._next:
            self._next = now + SECONDS
            self._log.warning(self._message, *arguments)
