"""Tells people, on stderr, how a run is going."""

from time import monotonic
from typing import TextIO

from tgibf.bursts import Burst
from tgibf.tally import Tally

_TERMINAL_INTERVAL = 0.2
_LOG_INTERVAL = 5.0


class Progress:
    """One line, redrawn, on a terminal; elsewhere a line every 5 s and one per finished burst.

    `activity` is what the line begins with: the mode, and the burst or the rate. If it can't be
    written, as on a full disk, the run continues without it.
    """

    def __init__(self, stream: TextIO, tally: Tally, *, quiet: bool) -> None:
        self.activity = "starting"
        self.reader_gone = False
        """As in `tgibf URL 2>&1 | head`."""
        self._stream = stream
        self._tally = tally
        self._quiet = quiet
        self._deaf = False
        self._terminal = stream.isatty()
        self._began = self._last = monotonic()
        self._last_settled = 0

    @property
    def interval(self) -> float:
        """Seconds from one `tick` to the next."""
        return _TERMINAL_INTERVAL if self._terminal else _LOG_INTERVAL

    def tick(self) -> None:
        """Show where the run stands."""
        now = monotonic()
        settled = self._tally.settled
        rate = (settled - self._last_settled) / max(now - self._last, 1e-3)
        self._last, self._last_settled = now, settled
        line = status_line(self.activity, self._tally, now - self._began, rate)
        self._write(f"\r\x1b[K{line}" if self._terminal else f"{line}\n")

    def begin_burst(self, number: int, events: int) -> None:
        self.activity = f"burst {number}: {events:,} events"

    def finish_burst(self, burst: Burst) -> None:
        result = "connections failed" if burst.failed else "no connection failed"
        self.note(
            f"burst {burst.number}: {burst.events:,} events in {burst.seconds:.2f} s"
            f" = {burst.events / max(burst.seconds, 1e-6):,.0f}/s, {result}"
        )

    def note(self, text: str) -> None:
        """Show a line that stays."""
        self._write(f"\r\x1b[K{text}\n" if self._terminal else f"{text}\n")

    def complain(self, text: str) -> None:
        """Show a line that stays, however quiet this is."""
        self._quiet, quiet = False, self._quiet
        self.note(text)
        self._quiet = quiet

    def close(self) -> None:
        """Take the redrawn line away."""
        if self._terminal:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        if self._quiet or self._deaf:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            self._deaf = True
            self.reader_gone = isinstance(error, BrokenPipeError)


def status_line(activity: str, tally: Tally, elapsed: float, rate: float) -> str:
    """The state of a run in a line; `elapsed` in seconds, `rate` in events settled per second."""
    return (
        f"{activity} | {elapsed:.0f} s | sent {tally.sent:,} | acked {tally.acked:,}"
        f" | refused {tally.refused:,} | unknown {tally.unknown:,}"
        f" | {rate:,.0f} events/s | in flight {tally.sent - tally.settled:,}"
    )
