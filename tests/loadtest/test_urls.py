"""A receiver's URL, and the one of its events."""

import pytest

from loadtest.urls import base_url, event_url


@pytest.mark.parametrize(
    ("url", "base", "events"),
    [
        ("http://a:1", "http://a:1", "http://a:1/events"),
        ("http://a:1/", "http://a:1", "http://a:1/events"),
        ("http://a:1/events", "http://a:1", "http://a:1/events"),
        ("http://a:1/events/", "http://a:1", "http://a:1/events"),
        ("https://a/calls", "https://a/calls", "https://a/calls/events"),
        ("https://a/calls/events", "https://a/calls", "https://a/calls/events"),
        ("https://a/my-events", "https://a/my-events", "https://a/my-events/events"),
        ("http://[::1]:1/x?key=1", "http://[::1]:1/x?key=1", "http://[::1]:1/x/events?key=1"),
    ],
)
def test_either_names_the_receiver(url: str, base: str, events: str) -> None:
    assert base_url(url) == base
    assert event_url(url) == events
