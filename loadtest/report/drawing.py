"""A chart's frame: size, colours, axes with units; out come an SVG for the page and a PNG.

The same figure gives the same bytes: ids are made from the chart's name, no date goes in, and
no matplotlibrc of the user or of the folder counts.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from math import inf
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from loadtest.record import Mark

# Okabe and Ito's colours, which people with any kind of colour vision can tell apart:
# https://jfly.uni-koeln.de/color/
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
YELLOW = "#F0E442"
GREY = "#767676"
LIGHT = "#C8C8C8"
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW, GREY)
INK = "#222222"
GRID = "#E4E4E4"

WIDTH, HEIGHT = 10.0, 3.9
DPI = 150
HEADROOM = 1.08
LONG_SECONDS = 300

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#9A9A9A",
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "path.simplify": True,
    "svg.hashsalt": "loadtest",
    "svg.fonttype": "none",  # text stays text: to be read aloud, selected, searched
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}
FALLBACK_FONTS = "'DejaVu Sans', Verdana, Geneva, sans-serif"


@contextmanager
def style() -> Iterator[None]:
    """In here charts are made and drawn."""
    settings: Any = STYLE
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield


class Chart:
    """A figure under way: draw on `axes`, then take `svg` and `png`; all of it within `style`."""

    def __init__(
        self, name: str, seconds: float, heights: Sequence[float] = (1,), height: float = HEIGHT
    ) -> None:
        """`seconds` is how long the time axis is; `heights` has one share for each panel.

        `height` is in inches, of a single panel; more of them are each a little lower.
        """
        self.name = name
        if len(heights) > 1:
            height *= 0.4 + 0.4 * len(heights)
        self.figure = Figure(figsize=(WIDTH, height), layout="constrained")
        panels = self.figure.subplots(
            len(heights), 1, sharex=True, squeeze=False, height_ratios=list(heights)
        )
        self.axes: list[Axes] = list(panels[:, 0])
        self._minutes = seconds > LONG_SECONDS
        self._label_time(seconds)

    def x(self, seconds: Sequence[float]) -> list[float]:
        """Moments in the unit of the time axis."""
        return [at / 60 for at in seconds] if self._minutes else list(seconds)

    def x1(self, second: float) -> float:
        """A moment in the unit of the time axis."""
        return second / 60 if self._minutes else second

    def label(self, text: str, panel: int = 0, *, whole: bool = True) -> None:
        """Name the vertical axis, which begins at 0 and has thousands separators."""
        axes = self.axes[panel]
        axes.set_ylabel(text)
        highest = axes.dataLim.ymax  # infinite where nothing is drawn
        axes.set_ylim(0, highest * HEADROOM if 0 < highest < inf else 1)
        axes.yaxis.set_major_formatter(FuncFormatter(_number))
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=whole, steps=[1, 2, 2.5, 5, 10]))

    def log(self, text: str, panel: int = 0) -> None:
        """Name a vertical axis that is logarithmic."""
        axes = self.axes[panel]
        axes.set_yscale("log")
        axes.set_ylabel(text)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(_number))
        axes.yaxis.set_minor_formatter(NullFormatter())

    def mark(self, marks: Sequence[Mark], began: float) -> None:
        """Draw what was done to the system as lines across all panels, named at the top."""
        for mark in marks:
            at = self.x1(mark.at - began)
            for axes in self.axes:
                axes.axvline(at, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
            self.axes[0].annotate(
                mark.text,
                (at, 1),
                xycoords=("data", "axes fraction"),
                xytext=(3, 2),
                textcoords="offset points",
                fontsize=8,
                color="#555555",
                rotation=20,
                annotation_clip=False,
            )

    def legend(self, panel: int = 0, columns: int = 4) -> None:
        """Above the panel, out of the way of what is drawn."""
        axes = self.axes[panel]
        handles, _ = axes.get_legend_handles_labels()
        if handles:
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(0, 1.12 if axes.texts else 1.0),
                ncols=min(columns, len(handles)),
                borderaxespad=0.2,
                handlelength=1.6,
                columnspacing=1.4,
            )

    def say(self, text: str, panel: int = 0) -> None:
        """Words where there is nothing to draw."""
        self.axes[panel].text(
            0.5,
            0.5,
            text,
            transform=self.axes[panel].transAxes,
            ha="center",
            va="center",
            color="#555555",
            fontsize=11,
        )

    def _label_time(self, seconds: float) -> None:
        last = self.axes[-1]
        last.set_xlabel(f"{'minutes' if self._minutes else 'seconds'} since the load began")
        last.set_xlim(0, self.x1(max(seconds, 1)))
        last.xaxis.set_major_locator(MaxNLocator(12, integer=True, steps=[1, 2, 5, 10]))
        for axes in self.axes:
            axes.grid(visible=True)

    def svg(self) -> str:
        """The figure as an element for a page, whose ids are its own."""
        buffer = BytesIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        self.figure.savefig(buffer, format="svg", metadata=nothing)
        text = buffer.getvalue().decode()
        text = text[text.index("<svg") :]
        text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{self.name}-", text)
        return text.replace("'DejaVu Sans'", FALLBACK_FONTS)

    def png(self) -> bytes:
        """The same as a picture."""
        buffer = BytesIO()
        self.figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        return buffer.getvalue()


def _number(value: float, _place: int | None = None) -> str:
    """A tick's number, with thousands separators."""
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:,.6g}"
