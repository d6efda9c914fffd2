"""The ids of signed POSTs that were stored, so that one that comes again is not stored again.

A sender that had no answer sends again, with the same id; so does whoever has recorded a POST on
its way. Both get the answer that there was, for as long as the signature would be taken. Only this
process knows it: behind a balancer another receiver stores it once more.
"""

from collections.abc import Callable

from webhook.http.exchange import PostExchange

Key = bytes
"""A sender, and the id that it gave: see `key_of`."""


def key_of(sender: str, identity: bytes) -> Key:
    """In one piece, which takes half the memory of two. Neither has a NUL in it."""
    return b"%b\0%b" % (sender.encode(), identity)


class Replays:
    """Remembers each id for `seconds` or up to twice that, and of the last `most` at least half.

    Two generations: when the younger one is full or old, it takes the place of the older one.
    """

    def __init__(self, seconds: float, most: int, monotonic: Callable[[], float]) -> None:
        self._seconds = seconds
        self._most = most
        self._monotonic = monotonic
        self._young: dict[Key, int] = {}
        self._old: dict[Key, int] = {}
        self._turned_at = monotonic()
        self._waiting: dict[Key, list[PostExchange]] = {}
        self._open: set[Key] = set()
        self.found = 0
        """POSTs that came again."""

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._young) + len(self._old)

    def stored(self, key: Key) -> int:
        """How many events were stored with it; 0 if it is not known."""
        events = self._young.get(key) or self._old.get(key, 0)
        if events:
            self.found += 1
        return events

    def wait(self, key: Key, exchange: PostExchange) -> bool:
        """Have it answered along with the one that is being stored; whether there is one."""
        waiting = self._waiting.get(key)
        if waiting is None:
            return False
        self.found += 1
        waiting.append(exchange)
        return True

    def begin(self, key: Key) -> None:
        """It is being stored."""
        self._waiting[key] = []

    def is_open(self, key: Key) -> bool:
        """Whether its sender was told that nobody knows, and its write has not ended yet."""
        return key in self._open

    def settle(self, key: Key, events: int, *, known: bool = True) -> list[PostExchange]:
        """It has been stored, or not, with 0 events; who waits to be told the same.

        If that is not `known`, it may yet be stored until its write has come to an `end`.
        """
        if events:
            self._remember(key, events)
        if not known:
            self._open.add(key)
        return self._waiting.pop(key, [])

    def end(self, key: Key, events: int) -> None:
        """Its write has ended: it has been stored after all, or not, with 0 events."""
        if key in self._open:
            self._open.discard(key)
            if events:
                self._remember(key, events)

    def _remember(self, key: Key, events: int) -> None:
        self._turn()
        self._young[key] = events

    def _turn(self) -> None:
        now = self._monotonic()
        late = now - self._turned_at
        if late < self._seconds and len(self._young) < max(1, self._most // 2):
            return
        self._old = self._young if late < 2 * self._seconds else {}
        self._young = {}
        self._turned_at = now
