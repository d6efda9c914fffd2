"""The live page in a real browser, fed by a real receiver."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import WAIT_MS, Witness
from tests.browser.drawing import FONTS, broken, draw_in, sticking_out, text_box
from tests.support.checked_receiver import Receiver
from tools.root import ROOT

expect.set_options(timeout=WAIT_MS)

LIVE = re.compile("^live$")
NO_ANSWER = re.compile(r"^no answer since \d\d:\d\d:\d\d, trying again…$")


def minutes_answer(count: int, window_seconds: int = 1800) -> dict[str, Any]:
    """An answer of /events/minutes whose events all came in the last minute."""
    to = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)
    since = to - timedelta(seconds=window_seconds)
    ends = [to]
    while ends[-1] > since:
        ends.append(max(since, ends[-1] - timedelta(minutes=1)))
    ends.reverse()
    minutes: list[dict[str, Any]] = [
        {"from": start.isoformat(), "to": end.isoformat(), "count": 0}
        for start, end in pairwise(ends)
    ]
    minutes[-1]["count"] = count
    return {
        "count": count,
        "window_seconds": window_seconds,
        "from": since.isoformat(),
        "to": to.isoformat(),
        "events_per_second": 0.0,
        "minutes": minutes,
    }


def bar_heights(page: Page) -> list[float]:
    """Heights of the bars in CSS pixels, oldest first."""
    heights: list[float] = page.eval_on_selector_all(
        "#bars button",
        "bars => bars.map(bar => parseFloat(getComputedStyle(bar, '::before').height))",
    )
    return heights


def test_follows_the_events_without_a_reload(receiver: Receiver, page: Page) -> None:
    # 1. An empty receiver: zero, and thirty bars with nothing in them.
    page.goto(receiver.url)
    expect(page.locator("#status")).to_have_text(LIVE)
    expect(page.locator("#count")).to_have_text("0")
    expect(page.locator("#rate")).to_have_text("0")
    expect(page.locator("#bars button")).to_have_count(30)
    assert max(bar_heights(page)) <= 2
    page.evaluate("window.loadedOnce = true")

    # 2. Events come: the number, the rate, the last bar and the title move.
    receiver.post_many(1000)
    expect(page.locator("#count")).to_have_text("1,000")
    expect(page.locator("#rate")).not_to_have_text("0")
    expect(page.locator("#max")).to_have_text("1,000")
    expect(page.locator("#bars button").last).to_have_accessible_name(re.compile(": 1,000 events$"))
    expect(page).to_have_title("1,000 events in the last 30 minutes · Teracompra")
    page.wait_for_function(
        "() => parseFloat(getComputedStyle(document.querySelector('#bars li:last-child button'),"
        " '::before').height) > 50"
    )

    # 3. And again.
    receiver.post_many(234)
    expect(page.locator("#count")).to_have_text("1,234")

    # Result: one page, never loaded again.
    assert page.evaluate("window.loadedOnce") is True


def test_survives_the_receiver(receiver: Receiver, page: Page, tmp_path: Path) -> None:
    # 1. Live, with figures.
    receiver.post_many(50)
    page.goto(receiver.url)
    expect(page.locator("#count")).to_have_text("50")
    expect(page.locator("#status")).to_have_text(LIVE)

    # 2. The receiver is gone: the page says so and keeps what it has.
    receiver.kill()
    expect(page.locator("#status")).to_have_text(NO_ANSWER)
    expect(page.locator("html")).to_have_attribute("data-state", "silent")
    expect(page.locator("#count")).to_have_text("50")
    expect(page.locator("#bars button")).to_have_count(30)
    expect(page.locator("#newest")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    expect(page).to_have_title(re.compile("^No answer since"))

    # 3. It comes back on the same port.
    address = f"127.0.0.1:{receiver.port}"
    with Receiver(tmp_path / "events.db", address=address, expect_clients=True) as back:
        expect(page.locator("#status")).to_have_text(LIVE)
        back.post_many(7)

        # Result: live again by itself, with the old events and the new ones.
        expect(page.locator("#count")).to_have_text("57")
        expect(page.locator("#newest")).to_have_text("now")


def test_asks_at_once_when_the_network_is_back(receiver: Receiver, page: Page) -> None:
    page.clock.install()
    page.goto(receiver.url)
    expect(page.locator("#status")).to_have_text(LIVE)
    page.route("**/events/minutes", lambda route: route.abort())
    page.clock.run_for(2_000)
    expect(page.locator("#status")).to_have_text(NO_ANSWER)

    # The page's clock stands still from here: no retry of its own can come.
    page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
    page.unroute_all()
    with page.expect_response("**/events/minutes"):
        page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#status")).to_have_text(LIVE)


def test_says_which_error_the_receiver_answers(receiver: Receiver, page: Page) -> None:
    page.route("**/events/minutes", lambda route: route.fulfill(status=503, json={}))
    page.goto(receiver.url)
    expect(page.locator("#status")).to_have_text("error 503 yet, trying again…")


def test_late_answer_does_not_overwrite_a_newer_one(receiver: Receiver, page: Page) -> None:
    held: list[Route] = []

    def answer(route: Route) -> None:
        if held:
            route.fulfill(json=minutes_answer(222))
        else:
            held.append(route)

    page.route("**/events/minutes", answer)

    # 1. The first request hangs; a second one overtakes it.
    with page.expect_request("**/events/minutes"):
        page.goto(receiver.url)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#count")).to_have_text("222")

    # 2. Now the first is answered. Two answers later nothing is left of it on its way.
    page.evaluate(
        "() => { window.seen = [];"
        " new MutationObserver(() => seen.push(document.querySelector('#count').textContent))"
        ".observe(document.querySelector('#count'), {childList: true}); }"
    )
    with page.expect_request_finished(lambda request: request == held[0].request):
        held[0].fulfill(json=minutes_answer(111))
    for _ in range(2):
        with page.expect_request_finished(lambda request: "minutes" in request.url):
            pass

    # Result: its figure never showed.
    seen = page.evaluate("seen")
    assert seen
    assert set(seen) == {"222"}


@pytest.mark.parametrize(
    ("window_seconds", "name", "oldest", "bars"),
    [
        (1800, "events in the last 30 minutes", "\N{MINUS SIGN}30 min", 30),
        (45, "events in the last 45 seconds", "\N{MINUS SIGN}45 s", 1),
        (60, "events in the last minute", "\N{MINUS SIGN}1 min", 1),
        (90, "events in the last 90 seconds", "\N{MINUS SIGN}90 s", 2),
        (7200, "events in the last 2 hours", "\N{MINUS SIGN}2 h", 120),
    ],
)
def test_names_the_window(
    receiver: Receiver, page: Page, window_seconds: int, name: str, oldest: str, bars: int
) -> None:
    page.route(
        "**/events/minutes",
        lambda route: route.fulfill(json=minutes_answer(12_345, window_seconds)),
    )
    page.goto(receiver.url)
    expect(page.locator("#window")).to_have_text(name)
    expect(page.locator("#oldest")).to_have_text(oldest)
    expect(page.locator("#bars button")).to_have_count(bars)
    expect(page).to_have_title(f"12,345 {name} · Teracompra")


def test_shows_a_minute_by_pointer_and_by_keys(receiver: Receiver, page: Page) -> None:
    page.route("**/events/minutes", lambda route: route.fulfill(json=minutes_answer(12_345)))
    page.goto(receiver.url)
    draw_in(page, "wide")
    detail = page.locator("#detail")
    expect(page.locator("#status")).to_have_text(LIVE)
    expect(detail).to_be_hidden()

    page.locator("#bars button").last.hover()
    expect(detail).to_have_text("12,345 events 12:29\N{EN DASH}12:30")
    page.locator("h1").hover()
    expect(detail).to_be_hidden()

    page.keyboard.press("Tab")
    expect(detail).to_have_text("12,345 events 12:29\N{EN DASH}12:30")
    page.keyboard.press("ArrowLeft")
    expect(detail).to_have_text("0 events 12:28\N{EN DASH}12:29")
    page.keyboard.press("Home")
    expect(detail).to_have_text("0 events 12:00\N{EN DASH}12:01")
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()


def test_shows_a_minute_by_finger(receiver: Receiver, browser: Browser) -> None:
    context = browser.new_context(
        has_touch=True, locale="en-US", timezone_id="UTC", viewport={"width": 360, "height": 640}
    )
    page = context.new_page()
    page.route("**/events/minutes", lambda route: route.fulfill(json=minutes_answer(12_345)))
    page.goto(receiver.url)
    draw_in(page, "wide")
    expect(page.locator("#status")).to_have_text(LIVE)
    page.locator("#bars button").last.tap()
    expect(page.locator("#detail")).to_have_text("12,345 events 12:29\N{EN DASH}12:30")
    expect(page.locator("#detail")).to_be_in_viewport(ratio=0.999)  # it is at a fraction of a pixel
    page.locator("h1").tap()
    expect(page.locator("#detail")).to_be_hidden()
    context.close()


def test_lists_no_allocations_without_consul(receiver: Receiver, page: Page) -> None:
    with page.expect_response("**/allocations"):
        page.goto(receiver.url)
    expect(page.locator("#status")).to_have_text(LIVE)
    expect(page.locator("#allocations")).to_be_hidden()


class Shown:
    """A page that shows the count it is told to, and a rate to match, in one of FONTS."""

    def __init__(self, page: Page, url: str, font: str, window_seconds: int = 1800) -> None:
        self._page = page
        self._answer = minutes_answer(0, window_seconds)
        self._seconds = window_seconds
        page.route("**/events/minutes", lambda route: route.fulfill(json=self._answer))
        page.goto(url)
        draw_in(page, font)

    def count(self, count: int) -> None:
        """Return when it shows it."""
        self._answer = minutes_answer(count, self._seconds) | {"events_per_second": count / 60}
        self._page.evaluate("dispatchEvent(new Event('online'))")
        expect(self._page.locator("#count")).to_have_text(f"{count:,}")


@pytest.mark.parametrize("font", FONTS)
def test_fits_a_phone(receiver: Receiver, page: Page, font: str) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    shown = Shown(page, receiver.url, font)
    bars = page.locator("#bars button")

    # 1. Any number of digits.
    for count in (0, 8, 88, 888, 8_888, 88_888, 888_888, 1_462_345, 8_888_888, 98_765_432):
        shown.count(count)
        for screen in (320, 360):
            page.set_viewport_size({"width": screen, "height": 640})
            assert sticking_out(page) == []
            expect(page.locator("#count")).to_be_in_viewport(ratio=1)
            expect(page.locator("#bars")).to_be_in_viewport(ratio=1)
            assert broken(page, ".axis") == broken(page, "figcaption") == []

    # 2. The detail of the bars at both ends, with its edges.
    for bar in (bars.first, bars.last):
        bar.hover()
        detail, plot = (page.locator(box).bounding_box() for box in ("#detail", "#plot"))
        assert detail is not None
        assert plot is not None
        assert plot["x"] <= detail["x"]
        assert detail["x"] + detail["width"] <= plot["x"] + plot["width"]

    # 3. No answer: the longest that the status line says.
    page.route("**/events/minutes", lambda route: route.abort())
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#status")).to_have_text(NO_ANSWER)
    for screen in (320, 360):
        page.set_viewport_size({"width": screen, "height": 640})
        assert sticking_out(page) == []


@pytest.mark.parametrize("font", FONTS)
@pytest.mark.parametrize(("screen", "share"), [(360, 1), (1280, 0.7)])
def test_number_fills_its_room_and_keeps_its_size(
    receiver: Receiver, page: Page, screen: int, share: float, font: str
) -> None:
    page.set_viewport_size({"width": screen, "height": 800})
    shown = Shown(page, receiver.url, font)

    # 1. With its widest digits it takes its share of the screen, with the rate below or beside it.
    shown.count(98_888_888)
    assert sticking_out(page) == []
    count, rate, room = (text_box(page, text) for text in ("#count", "#rate", "main"))
    assert count["width"] == pytest.approx(share * room["width"], rel=0.01)
    assert (rate["y"] > count["y"] + count["height"]) == (share == 1)

    # 2. With others of the same number it is no larger: it does not jump while it counts.
    sizes = font_sizes(page)
    for other in (91_111_111, 97_474_747):
        shown.count(other)
        assert font_sizes(page) == sizes


def font_sizes(page: Page) -> list[str]:
    """Of the two numbers."""
    return [
        page.locator(number).evaluate("number => getComputedStyle(number).fontSize")
        for number in ("#count", "#rate")
    ]


def test_fits_a_phone_with_a_day_of_minutes(receiver: Receiver, page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    Shown(page, receiver.url, "narrow", window_seconds=24 * 3600).count(98_765_432)
    expect(page.locator("#bars button")).to_have_count(24 * 60)
    assert sticking_out(page) == []


@pytest.mark.parametrize("font", FONTS)
def test_allocations_fit_a_phone(receiver: Receiver, page: Page, font: str) -> None:
    rows = [
        {"id": "0-8f2c1a07", "node": "node-1", "address": "192.168.56.11:24310"},
        {"id": "1-b41e99d3", "node": "node-2", "address": "192.168.56.12:29877"},
    ]
    long = {
        "id": "webhook-8f2c1a07-93d1-4c6b-a5c5-3b9c1f0e7d21",
        "node": "ip-10-0-0-1.eu-west-1.compute.internal",
        "address": "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:24310",
    }
    page.route("**/events/minutes", lambda route: route.fulfill(json=minutes_answer(0)))
    page.route(
        "**/allocations",
        lambda route: route.fulfill(
            json={"allocations": [row | {"events_per_second": 4410, "this": True} for row in rows]}
        ),
    )
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(receiver.url)
    draw_in(page, font)
    expect(page.get_by_role("rowheader")).to_have_count(2)

    # 1. The usual: an address breaks before its port, and a word only on the narrower screen.
    for screen in (320, 360):
        page.set_viewport_size({"width": screen, "height": 640})
        assert sticking_out(page) == []
    assert broken(page, "#allocations") == []

    # 2. Names that no phone has the room for.
    rows.append(long)
    expect(page.get_by_role("rowheader")).to_have_count(3)
    for screen in (320, 360):
        page.set_viewport_size({"width": screen, "height": 640})
        assert sticking_out(page) == []


def test_asks_its_own_origin_only_and_does_not_complain(
    receiver: Receiver, page: Page, witness: Witness
) -> None:
    response = page.goto(receiver.url)
    assert response is not None
    assert "default-src 'self'" in response.headers["content-security-policy"]
    receiver.post_many(3)
    expect(page.locator("#count")).to_have_text("3")
    page.locator("#bars button").last.hover()
    expect(page.locator("#detail")).to_be_visible()

    paths = {urlsplit(url).path for url in witness.requests}
    assert {"/", "/page/page.css", "/page/page.js", "/events/minutes"} <= paths
    assert {url for url in witness.requests if not url.startswith(f"{receiver.url}/")} == set()
    assert witness.complaints == []
    icon = page.request.get(f"{receiver.url}/page/icon.svg")
    assert icon.ok
    assert icon.headers["content-type"].startswith("image/svg+xml")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_is_readable_in_dark_and_in_light(
    receiver: Receiver, page: Page, scheme: Literal["dark", "light"]
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    receiver.post_many(10)
    page.goto(receiver.url)
    expect(page.locator("#count")).to_have_text("10")
    # WCAG 2.2: 4.5:1 for text (1.4.3), 3:1 for graphics that carry meaning (1.4.11).
    ground = colour_of(page, "body", "background-color")
    assert (luminance(ground) < 0.1) == (scheme == "dark")
    for text in ("#count", "#window", "#rate", "#status", "#oldest", ".max", "footer a"):
        assert contrast(colour_of(page, text, "color"), ground) >= 4.5, text
    older, latest = (
        colour_of(page, f"#bars li:{which}-child button", "background-color", "::before")
        for which in ("first", "last")
    )
    assert older != latest
    assert contrast(older, ground) >= 3
    assert contrast(latest, ground) >= 3


Colour = tuple[float, float, float]


def colour_of(page: Page, selector: str, name: str, pseudo: str = "") -> Colour:
    """A computed colour as red, green, blue of 0 to 255."""
    value: str = page.eval_on_selector(
        selector,
        "(element, [pseudo, name]) => getComputedStyle(element, pseudo).getPropertyValue(name)",
        [pseudo, name],
    )
    red, green, blue = (float(part) for part in re.findall(r"[\d.]+", value)[:3])
    return red, green, blue


def luminance(colour: Colour) -> float:
    """Relative luminance, 0 to 1, as WCAG 2.2 defines it."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Colour, other: Colour) -> float:
    """Contrast ratio, 1 to 21, as WCAG 2.2 defines it."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_can_be_heard(receiver: Receiver, page: Page) -> None:
    receiver.post_many(40)
    page.goto(receiver.url)
    draw_in(page, "wide")
    expect(page.locator("#count")).to_have_text("40")
    expect(page.get_by_role("heading", name="Teracompra events", level=1)).to_be_visible()
    expect(page.get_by_role("status")).to_have_text(LIVE)
    expect(page.get_by_role("region", name="events in the last 30 minutes")).to_be_visible()
    expect(page.get_by_role("figure", name="Events per minute")).to_be_visible()
    bars = page.get_by_role("list", name="Events per minute").get_by_role("button")
    expect(bars).to_have_count(30)
    names = bars.evaluate_all("bars => bars.map(bar => bar.getAttribute('aria-label'))")
    assert all(re.fullmatch(r"[\d:]+\W[\d:]+: \d+ events?", name) for name in names)
    for link in ("count", "metrics"):
        expect(page.get_by_role("link", name=link)).to_be_visible()

    # The number is spoken once, not at each of its changes.
    expect(page.locator("#spoken")).to_have_text(
        re.compile(r"^40 events in the last 30 minutes, [\d.]+ per second now$")
    )
    receiver.post_many(2)
    expect(page.locator("#count")).to_have_text("42")
    expect(page.locator("#spoken")).to_have_text(re.compile("^40 events"))


def test_screenshot(
    receiver: Receiver, page: Page, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Draws the page; with `--screenshot-of URL` that of a running receiver, for the README."""
    url = request.config.getoption("--screenshot-of")
    target = ROOT / "docs" / "images" / "live-page.png" if url else tmp_path / "page.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    receiver.post_many(100)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.goto(url or receiver.url)
    expect(page.locator("#status")).to_have_text(LIVE)
    page.screenshot(path=target)
    assert target.stat().st_size > 0
