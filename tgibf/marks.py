"""A small number for each of many ids.

Ids that are numbered as in `tgibf.events.event_id` take one byte each: ten million of them are ten
megabytes, where a dict takes gigabytes. Other ids take as much as in a dict.
"""

import re
from collections.abc import ItemsView, Iterator, Mapping

LARGEST = 255

_PAGE = 4096
_NUMBERED = re.compile(r"(.*)-(0|[1-9][0-9]{0,14})", re.DOTALL)


class Marks(Mapping[str, int]):
    """From ids to numbers from 1 to 255. In no particular order."""

    def __init__(self) -> None:
        self._pages: dict[tuple[str, int], bytearray] = {}
        self._size = 0

    def mark(self, name: str, number: int) -> int:
        """Give an id a number, unless it has one; the number that it had, 0 if none."""
        numbers, at = self._place(name)
        had = numbers[at]
        if not had:
            numbers[at] = number
            self._size += 1
        return had

    def count(self, name: str) -> None:
        """Make the number of an id one more, if it is not as large as they get."""
        numbers, at = self._place(name)
        had = numbers[at]
        if had < LARGEST:
            numbers[at] = had + 1
            self._size += not had

    def _place(self, name: str) -> tuple[bytearray, int]:
        """Where the number of an id is, or is to be."""
        page, at = _page(name)
        numbers = self._pages.get(page)
        if numbers is None:
            numbers = self._pages[page] = bytearray(1 if at < 0 else _PAGE)
        return numbers, at

    def __getitem__(self, name: str) -> int:
        page, at = _page(name)
        if (numbers := self._pages.get(page)) and (number := numbers[at]):
            return number
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        page, at = _page(name)
        numbers = self._pages.get(page)
        return bool(numbers and numbers[at])

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.each())

    def __len__(self) -> int:
        return self._size

    @property
    def runs(self) -> set[str]:
        """What stands before the numbers of the ids that have one."""
        return {run for run, page in self._pages if page >= 0}

    def items(self) -> ItemsView[str, int]:
        return _Items(self)

    def each(self) -> Iterator[tuple[str, int]]:
        """Every id with its number."""
        for (run, page), numbers in self._pages.items():
            first = page * _PAGE
            for at, number in enumerate(numbers):
                if number:
                    yield run if page < 0 else f"{run}-{first + at}", number


class _Items(ItemsView[str, int]):
    """Without a look-up for each."""

    _mapping: Marks

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return self._mapping.each()


def _page(name: str) -> tuple[tuple[str, int], int]:
    """The page of an id and its place there; an id without a number has page -1 to itself."""
    match = _NUMBERED.fullmatch(name)
    if match is None:
        return (name, -1), -1
    run, digits = match.groups()
    number = int(digits)
    return (run, number // _PAGE), number % _PAGE
