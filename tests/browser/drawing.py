"""How a page is drawn: in fonts that it is given, whatever the machine has; and what sticks out."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import matplotlib as mpl
from playwright.sync_api import Page

FILES = Path(mpl.get_data_path()) / "fonts" / "ttf"


class Face(NamedTuple):
    """A file of a font; for some characters only."""

    file: str
    weight: str
    characters: str = "U+0-10FFFF"


WIDE = [Face("DejaVuSans.ttf", "400"), Face("DejaVuSans-Bold.ttf", "700")]
NARROW = [Face("STIXGeneral.ttf", "400"), Face("STIXGeneralBol.ttf", "700")]
UNEVEN = [*WIDE, *(face._replace(characters="U+31") for face in NARROW)]  # its 1 is narrower

FONTS = {"wide": WIDE, "narrow": NARROW, "uneven": UNEVEN}


def draw_in(page: Page, font: str) -> None:
    """Change the font of a page that is open, to one of FONTS that its own origin serves."""
    page.route(
        "**/test-fonts/*",
        lambda route: route.fulfill(path=FILES / Path(urlsplit(route.request.url).path).name),
    )
    page.evaluate(
        """async ([name, faces]) => {
            for (const [file, weight, unicodeRange] of faces) {
                const face = new FontFace(name, `url(/test-fonts/${file})`, {weight, unicodeRange});
                document.fonts.add(await face.load());
            }
            document.body.style.fontFamily = name;
        }""",
        [font, FONTS[font]],
    )
    page.unroute("**/test-fonts/*")


def sticking_out(page: Page) -> list[str]:
    """What reaches over the right edge of the page's content, or makes the page scroll sideways."""
    found: list[str] = page.evaluate(
        """async () => {
            await new Promise(requestAnimationFrame);
            await new Promise(requestAnimationFrame);
            const edge = document.querySelector("main").getBoundingClientRect().right + 1;
            const wide = document.documentElement.scrollWidth > innerWidth;
            const found = wide ? ["the page"] : [];
            const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (texts.nextNode()) {
                const parent = texts.currentNode.parentElement;
                if (!parent.checkVisibility({visibilityProperty: true})) continue;
                if (parent.id === "spoken") continue;
                const range = new Range();
                range.selectNodeContents(texts.currentNode);
                if (range.getBoundingClientRect().right > edge) found.push(range.toString());
            }
            return found;
        }"""
    )
    return found


def broken(page: Page, selector: str) -> list[str]:
    """The texts within `selector` that are drawn on more than one line."""
    found: list[str] = page.locator(selector).evaluate(
        """element => {
            const found = [];
            const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
            while (texts.nextNode()) {
                const range = new Range();
                range.selectNodeContents(texts.currentNode);
                if (range.getClientRects().length > 1) found.push(range.toString());
            }
            return found;
        }"""
    )
    return found


def text_box(page: Page, selector: str) -> dict[str, float]:
    """Where what is in an element is drawn: x, y, width and height in CSS pixels."""
    box: dict[str, float] = page.locator(selector).evaluate(
        """element => {
            const range = new Range();
            range.selectNodeContents(element);
            return range.getBoundingClientRect().toJSON();
        }"""
    )
    return box
