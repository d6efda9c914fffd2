"""The clock never runs backwards."""

from hypothesis import given
from hypothesis import strategies as st

from webhook.clock import ReceiptClock


@given(st.lists(st.integers(0, 2**62), min_size=1))
def test_it_never_runs_backwards_and_follows_the_machine_forwards(walls: list[int]) -> None:
    reading = iter(walls)
    clock = ReceiptClock(lambda: next(reading))
    shown = [clock() for _ in walls]
    assert shown == [max(walls[: index + 1]) // 1000 for index in range(len(walls))]


def test_it_says_by_how_much_the_machine_is_behind() -> None:
    reading = iter([5_000_000_000, 3_000_000_000, 3_000_000_000])
    clock = ReceiptClock(lambda: next(reading))
    assert clock() == clock() == 5_000_000
    assert clock.behind == 2.0
