"""Every call of the HTTP table, with its answers."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.checked_receiver import EVENT, Receiver
from tests.support.rows import query, rows
from tools.root import ROOT
from webhook.app import PAGE_POLICY

PROBLEM = "application/problem+json"


def test_an_event(receiver: Receiver, store_path: Path) -> None:
    answer = receiver.post(EVENT)
    assert (answer.status, answer.json) == (200, {"accepted": 1})
    assert answer.headers["Content-Type"] == "application/json"
    assert receiver.count() == 1
    assert query(store_path, "SELECT type, call_id FROM events") == [
        ("call.new", "1463669263.30033")
    ]


def test_an_array_is_accepted_whole(receiver: Receiver) -> None:
    assert receiver.post([EVENT] * 1000).json == {"accepted": 1000}
    assert receiver.count() == 1000


def test_equal_events_are_separate_events(receiver: Receiver) -> None:
    for _ in range(3):
        receiver.post(EVENT)
    assert receiver.count() == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b'{"type": 1e999}', 422),
        (b'{"type": "a\\u0000"}', 422),
        (b"call.new", 400),
        (b'{"type": "call.new"', 400),
        (b'{"type": "call.new"} {}', 400),
        (b'{"type": 5, nonsense', 400),
        (b'{"type": "\xff"}', 400),
        (b'{"type": "a", "x": ' + b"[" * 100_000, 400),
        (b'"call.new"', 422),
        (b"5", 422),
        (b"null", 422),
        (b"{}", 422),
        (b'{"type": ""}', 422),
        (b'{"type": null}', 422),
        (b'{"type": ["call.new"]}', 422),
        (b"[]", 422),
        (b'[{"type": "call.new"}, {}]', 422),
        (b'[{"type": "call.new"}, 5]', 422),
        (b'[[{"type": "call.new"}]]', 422),
        (b'[{"type": "call.new"}, ', 400),
        (b"[" + b",".join([b'{"type": "a"}'] * 1001) + b"]", 413),
        (b'{"type": "a", "x": "' + b"x" * (1 << 20) + b'"}', 413),
    ],
)
def test_a_bad_body_is_explained_and_nothing_of_it_is_stored(
    receiver: Receiver, store_path: Path, body: bytes, status: int
) -> None:
    answer = receiver.post(body)
    assert answer.status == status
    assert answer.headers["Content-Type"] == PROBLEM
    problem = answer.json
    assert problem["status"] == status
    assert problem["stored"] == "no"
    assert problem["title"]
    assert len(problem["detail"]) > 10
    assert rows(store_path) == 0


@pytest.mark.parametrize(
    "event",
    [
        {"type": "call.unheard-of"},
        {"type": "call.new", "call_id": 5, "new": {"deep": [1, None, True]}},
        {"type": "☎", "call_id": None},
        b'{"type": "a", "call_id": 1e999}',
        b'{"type": "a", "call_id": ' + b"1" * 5000 + b"}",
        b'{"type": "a", "call_id": "\\u0000", "x": 1e999}',
    ],
)
def test_unknown_types_and_fields_are_taken(receiver: Receiver, event: object) -> None:
    assert receiver.post(event).status == 200
    assert receiver.count() == 1


def test_the_count_says_which_window_it_is_of(receiver: Receiver) -> None:
    document = receiver.get("/events/count").json
    assert list(document) == ["count", "window_seconds", "from", "to"]
    assert (document["count"], document["window_seconds"]) == (0, 1800)
    for moment in document["from"], document["to"]:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment)
    assert document["from"] < document["to"]


def test_the_minutes_sum_to_the_count_and_join_up(receiver: Receiver) -> None:
    receiver.post_many(7)
    document = receiver.get("/events/minutes").json
    minutes = document["minutes"]
    assert len(minutes) == 30
    assert sum(minute["count"] for minute in minutes) == document["count"] == 7
    assert minutes[0]["from"] == document["from"]
    assert minutes[-1]["to"] == document["to"]
    assert all(one["to"] == other["from"] for one, other in pairwise(minutes))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/events", "POST, GET, HEAD, OPTIONS"),
        ("DELETE", "/webhook/", "POST, GET, HEAD, OPTIONS"),
        ("POST", "/events/count", "GET, HEAD"),
        ("PUT", "/ready", "GET, HEAD"),
    ],
)
def test_a_wrong_method(receiver: Receiver, method: str, path: str, allowed: str) -> None:
    answer = receiver.request(method, path, b"{}" if method == "POST" else None)
    assert answer.status == 405
    assert answer.headers["Allow"] == allowed
    assert answer.headers["Content-Type"] == PROBLEM


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nothing", 404), ("/events/moon", 404), ("/page/missing.js", 404), ("/page/../app.py", 404)],
)
def test_an_unknown_path(receiver: Receiver, path: str, status: int) -> None:
    answer = receiver.get(path)
    assert answer.status == status
    assert answer.headers["Content-Type"] == PROBLEM


def test_health_ready_and_metrics(receiver: Receiver) -> None:
    assert receiver.get("/health").json == {"status": "alive"}
    assert receiver.get("/ready").json == {"status": "ready"}
    for path in ("/health", "/ready", "/events/count", "/metrics", "/"):
        answer = receiver.request("HEAD", path)
        assert (answer.status, answer.body) == (200, b"")
    receiver.post_many(3)
    receiver.post(b"nonsense")
    assert receiver.metric('webhook_events_total{outcome="stored"}') == 3
    assert receiver.metric('webhook_invalid_posts_total{status="400"}') == 1
    assert receiver.metric("webhook_answer_seconds_count") == 1
    assert receiver.metric("webhook_held_events") == 0
    assert receiver.metric("webhook_most_held_events") == 3
    assert receiver.metric("webhook_busiest_second_events") == 3
    assert receiver.metric("webhook_max_held_events") == 50_000
    assert receiver.metric("webhook_max_events_per_second") == 0
    assert 0 <= receiver.metric("webhook_loop_lag_seconds") < 5


def test_prometheus_rules_go_by_what_is_shown(receiver: Receiver) -> None:
    receiver.post_many(1)
    shown = receiver.get("/metrics").body.decode()
    rules = "".join(file.read_text() for file in (ROOT / "prometheus" / "rules").glob("*.yml"))
    names = set(re.findall(r"\b(webhook_\w+)", rules))
    assert len(names) >= 8
    assert [name for name in sorted(names) if f"\n{name}" not in shown] == []


def test_every_metric_is_in_the_documents(receiver: Receiver) -> None:
    shown = receiver.get("/metrics").body.decode()
    names = set(re.findall(r"^# HELP (webhook_\w+)", shown, re.MULTILINE))
    page = (ROOT / "docs" / "operating.md").read_text()
    assert len(names) >= 20
    assert [
        name for name in sorted(names) if not name.endswith("_created") and name not in page
    ] == []


def test_the_page_and_its_files(receiver: Receiver) -> None:
    page = receiver.get("/")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Content-Security-Policy"] == PAGE_POLICY
    names = re.findall(rb'(?:src|href)="(page/[^"]+)"', page.body)
    assert len(names) == 3
    for name in names:
        assert receiver.get(f"/{name.decode()}").status == 200
