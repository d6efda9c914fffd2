"""The ledger: a file with one line, `<id> <outcome>`, for every event that was started.

A run begins with the line `# run <name> begins` and ends with `# run <name> is whole`. Without the
second line it does not name every event: its disk was full, or its generator was killed. Without
the first line it was cut.
"""

import os
import re
from collections.abc import ItemsView, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tgibf.events import event_id
from tgibf.kept_file import KeptFile
from tgibf.marks import Marks
from tgibf.outcome import Outcome

_BEGINS, _IS_WHOLE = "begins", "is whole"
_MARK = re.compile(rf"# run (\S+) ({_BEGINS}|{_IS_WHOLE})\n")
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_NUMBERED = dict(enumerate(Outcome, start=1))
_NUMBERS = {outcome.value: number for number, outcome in _NUMBERED.items()}


class LedgerError(ValueError):
    """A ledger that cannot be read or must not be written; the message says why."""


class Outcomes(Mapping[str, Outcome]):
    """The outcome of each id, small enough for a ledger of many millions."""

    def __init__(self) -> None:
        self._marks = Marks()

    def add(self, name: str, outcome: Outcome) -> bool:
        """Add an id, unless it is there; whether it is new."""
        return not self._marks.mark(name, _NUMBERS[outcome])

    def __getitem__(self, name: str) -> Outcome:
        return _NUMBERED[self._marks[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._marks)

    def __len__(self) -> int:
        return len(self._marks)

    @property
    def runs(self) -> set[str]:
        """The names of the runs that the ids are of."""
        return self._marks.runs

    def items(self) -> ItemsView[str, Outcome]:
        return _Items(self)

    def each(self) -> Iterator[tuple[str, Outcome]]:
        """Every id with its outcome."""
        return ((name, _NUMBERED[number]) for name, number in self._marks.items())


class _Items(ItemsView[str, Outcome]):
    """Without a look-up for each."""

    _mapping: Outcomes

    def __iter__(self) -> Iterator[tuple[str, Outcome]]:
        return self._mapping.each()


@dataclass(frozen=True, slots=True)
class LedgerContents:
    """What a ledger says.

    `torn` is the text of a last line without its newline, as a killed generator leaves it: that
    event, and those that were in flight, have no outcome in `outcomes`. `incomplete` are the names
    of the runs of which it does not name every event. `blank` says that it names no run at all.
    """

    outcomes: Outcomes
    torn: str | None
    incomplete: frozenset[str] = frozenset()
    blank: bool = False


class Ledger(KeptFile):
    """Appends outcomes as they settle. Lines wait in memory until `flush`."""

    def __init__(self, path: Path, run: str, *, append: bool) -> None:
        """Open the file for one run, whose name starts every id.

        Raises LedgerError if the file has lines and `append` is false, if it ends in a torn line,
        or if it cannot be opened.
        """
        self.run = run
        try:
            _check(path, append=append)
            super().__init__(path, new=False)
        except OSError as error:
            raise LedgerError(f"cannot write the ledger: {error}") from error
        self._lines: list[str] = []
        self.write(_mark(run, _BEGINS))

    def settle(self, first: int, events: int, outcome: Outcome) -> None:
        """Note one outcome for the events numbered `first` to `first` + `events` - 1."""
        for number in range(first, first + events):
            self._lines.append(f"{event_id(self.run, number)} {outcome}\n")

    def flush(self) -> None:
        """Write what has settled."""
        lines, self._lines = self._lines, []
        self.write("".join(lines))
        if self.cut:  # with the line that says where the run began
            self.write(_mark(self.run, _BEGINS))

    def complete(self) -> None:
        """Everything that was started has settled: the run is whole, if its file is."""
        self.flush()
        if not self.cut:
            self.write(_mark(self.run, _IS_WHOLE))

    def finish(self) -> None:
        self.flush()


def _mark(run: str, state: str) -> str:
    return f"# run {run} {state}\n"


def read_ledger(path: Path, outcomes: Outcomes | None = None) -> LedgerContents:
    """Read a ledger whole, into `outcomes` if there are some of other ledgers already.

    Raises LedgerError for a line that is not `<id> <outcome>` or an id that comes twice, naming
    the line; a torn last line is not an error. Raises OSError if the file cannot be read.
    """
    outcomes = Outcomes() if outcomes is None else outcomes
    begun: set[str] = set()
    whole: set[str] = set()
    number, torn = 0, None
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith("\n"):
                torn = line
                break
            if mark := _MARK.fullmatch(line):
                run, state = mark.groups()
                (begun if state == _BEGINS else whole).add(run)
                continue
            name, _, word = line[:-1].partition(" ")
            outcome = _OUTCOMES.get(word)
            if not name or outcome is None:
                raise LedgerError(
                    f"{path}, line {number}: {line[:-1]!r} is not an id, a space, and one of "
                    f"{', '.join(_OUTCOMES)}"
                )
            if not outcomes.add(name, outcome):
                raise LedgerError(f"{path}, line {number}: the id {name!r} is there twice")
    return LedgerContents(outcomes, torn, frozenset(begun ^ whole), blank=not number)


def _check(path: Path, *, append: bool) -> None:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if not size:
                return
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
    except FileNotFoundError:
        return
    if not append:
        raise LedgerError(f"{path} already has lines: choose another file, or --append-ledger")
    if torn:
        raise LedgerError(f"{path} ends in a torn line: choose another file, or repair this one")
