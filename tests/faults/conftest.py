"""How often each fault is injected."""

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `round_` runs once, and with `--long` as often as its mark says."""
    if "round_" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("long_rounds")
        rounds = mark.args[0] if mark and metafunc.config.getoption("--long") else 1
        metafunc.parametrize("round_", range(1, rounds + 1))
