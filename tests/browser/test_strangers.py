"""What a page of a stranger can do to a receiver of this machine, in a real browser."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.browser import CHROMIUM_ARGUMENTS, WAIT_MS
from tests.support.checked_receiver import Receiver
from tests.support.file_server import serving

pytestmark = pytest.mark.browser

EVENT = '{"type": "call.new"}'
ASKS_NOBODY = "--disable-features=LocalNetworkAccessChecks"
NAME = "evil.example"  # leads to this machine, for the browser
# It is told of an error where it may not see the answer; the request has gone out all the same.
FETCH = "async ([url, options]) => { await fetch(url, options).catch(() => null); }"
READ = """
async url => {
  const answer = await fetch(url);
  return [answer.status, await answer.text()];
}
"""
# A form can send JSON as text/plain, with a `=` somewhere in it.
FORM = """
([url, target]) => {
  const form = document.createElement("form");
  Object.assign(form, {method: "post", action: url, enctype: "text/plain", target});
  const field = document.createElement("input");
  Object.assign(field, {name: '{"type": "call.new", "a": "', value: '"}'});
  form.append(field);
  document.body.append(form);
  form.submit();
}
"""
FRAME = """
url => {
  const frame = document.createElement("iframe");
  frame.src = url;
  document.body.append(frame);
}
"""
SANDBOX = """
([url, body]) => {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  const options = JSON.stringify({method: "POST", mode: "no-cors", body});
  const told = `.finally(() => parent.postMessage(1, "*"))`;
  frame.srcdoc = `<script>fetch("${url}", ${options})${told}</script>`;
  return new Promise(done => { onmessage = done; document.body.append(frame); }).then(() => null);
}
"""


@pytest.fixture(scope="module")
def misled() -> Iterator[Browser]:
    """A browser for which the stranger's name leads to this machine.

    Chromium would ask the user before a page reads of this machine; other browsers don't.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium found: there is no `chromium` on the PATH")
    rules = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium, args=[*CHROMIUM_ARGUMENTS, rules, ASKS_NOBODY]
        )
        yield running
        running.close()


@pytest.fixture
def page(misled: Browser) -> Iterator[Page]:
    context = misled.new_context()
    context.set_default_timeout(WAIT_MS)
    yield context.new_page()
    context.close()


@pytest.fixture
def evil(page: Page, tmp_path: Path) -> Iterator[Page]:
    """A page of the stranger's own server."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("<!doctype html><title>evil</title><body>")
    with serving(tmp_path / "site") as server:
        page.goto(server.url.replace("127.0.0.1", NAME))
        yield page


def refused(receiver: Receiver) -> float:
    try:
        return receiver.metric('webhook_refused_requests_total{status="403"}')
    except KeyError:
        return 0


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_request_that_needs_no_leave_stores_nothing(
    receiver: Receiver, evil: Page, kind: str
) -> None:
    options = {"method": "POST", "mode": "no-cors", "body": EVENT}
    options["headers"] = {"Content-Type": kind}  # type: ignore[assignment]
    evil.evaluate(FETCH, [f"{receiver.url}/events", options])
    assert (refused(receiver), receiver.count()) == (1, 0)


def test_a_form_stores_nothing(receiver: Receiver, evil: Page) -> None:
    with evil.expect_response(lambda answer: answer.url.endswith("/events")) as told:
        evil.evaluate(FORM, [f"{receiver.url}/events", "_self"])
    assert told.value.status == 403
    assert receiver.count() == 0


def test_a_page_without_an_origin_stores_nothing(receiver: Receiver, evil: Page) -> None:
    evil.evaluate(SANDBOX, [f"{receiver.url}/events", EVENT])
    assert (refused(receiver), receiver.count()) == (1, 0)


def test_a_page_whose_name_is_turned_here_reads_and_stores_nothing(
    receiver: Receiver, page: Page
) -> None:
    """It came from the stranger's server, at the same name and port, a moment ago."""
    turned = f"http://{NAME}:{receiver.port}"
    page.route(
        f"{turned}/attack",
        lambda route: route.fulfill(content_type="text/html", body="<!doctype html><body>"),
    )
    page.goto(f"{turned}/attack")
    for path in ("/events/count", "/metrics", "/", "/allocations"):
        status, text = page.evaluate(READ, f"{turned}{path}")
        assert status == 421
        assert "webhook_" not in text
        assert "count" not in json.loads(text)
    page.evaluate(FETCH, [f"{turned}/events", {"method": "POST", "body": EVENT}])
    assert (refused(receiver), receiver.count()) == (1, 0)


def test_a_stranger_cannot_show_the_page_in_a_frame(receiver: Receiver, evil: Page) -> None:
    evil.evaluate(FRAME, f"{receiver.url}/")
    evil.wait_for_timeout(500)
    assert all(not frame.query_selector("#count") for frame in evil.frames)


def test_the_receivers_own_page_may_send(receiver: Receiver, page: Page) -> None:
    page.goto(f"{receiver.url}/")
    options = {"method": "POST", "body": EVENT}
    page.evaluate(FETCH, [f"{receiver.url}/events", options])
    assert receiver.count() == 1
