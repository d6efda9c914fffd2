"""How the properties are tried: the same examples each time, however slow the machine."""

from hypothesis import HealthCheck, settings


def examples(number: int) -> settings:
    """A decorator: try so many."""
    return settings(
        max_examples=number,
        derandomize=True,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
