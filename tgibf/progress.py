"""Tells people, on stderr, how a run is going."""

from time import monotonic
from typing import TextIO

from tgibf.bursts import Burst
from tgibf.patient_stream import PatientStream
from tgibf.tally import Tally

_TERMINAL_INTERVAL = 0.2
_LOG_INTERVAL = 5.0


class Progress:
    """One line, redrawn, on a terminal; elsewhere a line every 5 s and one per finished burst.

    `activity` is what the line begins with: the mode, and the burst or the rate. If it can't be
    written, as on a full disk, the run continues without it; a line that nobody has room for now,
    as in a pipe that is full, is dropped.
    """

    def __init__(self, stream: TextIO, tally: Tally, *, quiet: bool) -> None:
        self.activity = "starting"
        self.reader_gone = False
        """As in `tgibf URL 2>&1 | head`."""
        self._stream = PatientStream(stream)
        self._tally = tally
        self._quiet = quiet
        self._deaf = False
        self._terminal = self._stream.terminal
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
        if self._terminal:  # which would break a longer line in two, of which one is redrawn
            self._write(f"\r\x1b[K{_cut(line, self._stream.columns)}")
        else:
            self._write(f"{line}\n")

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
        self._stream.close()

    def _write(self, text: str) -> None:
        if self._quiet or self._deaf:
            return
        try:
            self._stream.write(text)
        except OSError as error:
            self._deaf = True
            self.reader_gone = isinstance(error, BrokenPipeError)


def _cut(line: str, columns: float) -> str:
    """What of a line stays left of a terminal's last column."""
    return line if len(line) < columns else line[: max(1, int(columns) - 1)]


def status_line(activity: str, tally: Tally, elapsed: float, rate: float) -> str:
    """The state of a run in a line; `elapsed` in seconds, `rate` in events settled per second."""
    return (
        f"{activity} | {elapsed:.0f} s | sent {tally.sent:,} | acked {tally.acked:,}"
        f" | refused {tally.refused:,} | unknown {tally.unknown:,}"
        f" | {rate:,.0f} events/s | in flight {tally.sent - tally.settled:,}"
    )
