"""How often each fault is injected."""

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `round_` runs as often as `--rounds` says."""
    if "round_" in metafunc.fixturenames:
        rounds = metafunc.config.getoption("--rounds")
        metafunc.parametrize("round_", range(1, rounds + 1))
