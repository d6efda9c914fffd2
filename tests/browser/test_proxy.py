"""The live page behind a real nginx that serves it below a path of its own."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from harness.http import request
from tests.browser.conftest import WAIT_MS, Witness
from tests.browser.proxy import Nginx, documented_location
from tests.support.checked_receiver import Receiver

expect.set_options(timeout=WAIT_MS)


@pytest.mark.parametrize("path", ["/", "/calls/", "/shop/live/calls/"])
def test_works_below_a_path(
    receiver: Receiver, page: Page, witness: Witness, tmp_path: Path, path: str
) -> None:
    with Nginx(tmp_path, documented_location(path, receiver.url)) as nginx:
        home = f"{nginx.url}{path}"
        answers: list[Response] = []
        page.on("response", lambda answer: answers.append(answer))

        # 1. Without its last slash, too, one arrives at the page, drawn and live.
        with page.expect_response(re.compile("/allocations$")):
            page.goto(home.removesuffix("/"))
        expect(page).to_have_url(home)
        expect(page.locator("#status")).to_have_text("live")
        expect(page.locator("body")).to_have_css("display", "flex")

        # 2. Events are posted there, and the page follows.
        assert request("POST", f"{home}events", b'{"type": "call.new"}').status == 200
        expect(page.locator("#count")).to_have_text("1")

        # 3. It has asked for nothing elsewhere, and for nothing that is not there.
        elsewhere = {url for url in witness.requests if not url.startswith(home)}
        assert elsewhere <= {home.removesuffix("/")}
        assert {answer.url for answer in answers if answer.status >= 400} == set()
        assert witness.complaints == []

        # Result: its icon and its links, too, lead to what they name.
        assert b"<svg" in behind(page, "link[rel=icon]")
        assert b'"count":1' in behind(page, "footer a:first-child")
        assert b"webhook_build_info" in behind(page, "footer a:last-child")


def test_leads_to_the_number_without_javascript(
    receiver: Receiver, browser: Browser, tmp_path: Path
) -> None:
    with Nginx(tmp_path, documented_location("/calls/", receiver.url)) as nginx:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(f"{nginx.url}/calls/")
        assert b'"count":0' in behind(page, "noscript a")
        context.close()


def behind(page: Page, link: str) -> bytes:
    """What is at the address that a link of the page names."""
    address = page.locator(link).evaluate("link => link.href")
    return request("GET", address).body


def test_is_at_one_address(receiver: Receiver) -> None:
    # Below /page/ its own addresses would lead nowhere.
    assert receiver.get("/").status == 200
    assert receiver.get("/page/index.html").status == 404
