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
