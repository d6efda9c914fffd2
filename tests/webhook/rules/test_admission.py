"""Properties of the admission limit."""

from hypothesis import given
from hypothesis import strategies as st

from webhook.admission import Admission

ARRIVALS = st.lists(
    st.tuples(st.floats(0, 0.5, allow_nan=False), st.integers(1, 1000)), max_size=200
)


@given(st.integers(1, 5000), ARRIVALS)
def test_never_more_than_the_rate_and_one_second_and_one_array(
    rate: int, arrivals: list[tuple[float, int]]
) -> None:
    admission = Admission(rate)
    now, admitted, largest = 100.0, 0, 0
    for pause, events in arrivals:
        now += pause
        if admission.admit(events, now):
            admitted += events
            largest = max(largest, events)
    assert admitted <= rate * (1 + now - 100.0) + largest + 1e-6


@given(st.integers(1, 1000))
def test_a_steady_load_at_the_rate_is_admitted(rate: int) -> None:
    admission = Admission(rate)
    assert all(admission.admit(1, 100 + index / rate) for index in range(3 * rate))


def test_zero_admits_everything() -> None:
    assert all(Admission(0).admit(10**9, 0.0) for _ in range(10))


@given(st.integers(1, 1000), st.integers(0, 5000), st.lists(st.floats(0, 1), max_size=5))
def test_an_array_is_admitted_whole_and_paid_back_before_anything_else(
    rate: int, more: int, tries: list[float]
) -> None:
    """Tries that are refused meanwhile take nothing and delay nothing."""
    admission = Admission(rate)
    assert admission.admit(rate + more, 100.0)
    seconds = more / rate
    for fraction in sorted(tries):
        assert not admission.admit(1, 100 + 0.999 * fraction * seconds)
    assert admission.admit(1, 100 + seconds + 0.001)


@given(st.integers(1, 1000), st.floats(1, 1e6))
def test_a_quiet_time_saves_up_one_second_and_no_more(rate: int, quiet: float) -> None:
    admission = Admission(rate)
    assert admission.admit(rate, 100.0)
    assert [admission.admit(1, 100 + quiet) for _ in range(rate + 1)] == [True] * rate + [False]
