"""Drawing by hand: tags, axes and colours of inline SVG. Text stays text; style comes from the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

ANCHORS = ("#15315f", "#0072b2", "#00936a", "#e08e00", "#c8500a")
"""Ordered hues that stay apart for colour-blind readers (after Okabe and Ito), dark enough on white."""

DASHES = ("", "7 4", "2 3", "9 3 2 3")
"""One pattern a system; the first is drawn solid."""


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """One element; underscores in attribute names become hyphens, floats lose what no eye sees."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def _value(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else escape(str(value))


def words(text: str, x: float, y: float, **attributes: object) -> str:
    return tag("text", escape(text), x=float(x), y=float(y), **attributes)


def drawing(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    """An SVG element that scales down with the page and never up; the title is read aloud."""
    content = "".join((tag("title", escape(title)), *parts))
    style = f"max-width:{width:.0f}px"
    return tag("svg", content, viewBox=f"0 0 {width:.0f} {height:.0f}", role="img", style=style)


def mix(low: str, high: str, part: float) -> str:
    """The colour a part of the way from one to another."""
    pairs = zip(_channels(low), _channels(high), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in pairs)


def ramp(anchors: Sequence[str], part: float) -> str:
    """The colour at `part` in [0, 1] along some anchors."""
    place = min(max(part, 0.0), 1.0) * (len(anchors) - 1)
    below = min(int(place), len(anchors) - 2)
    return mix(anchors[below], anchors[below + 1], place - below)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def dark(colour: str) -> bool:
    """Whether white text reads better on it than black."""
    red, green, blue = _channels(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue < 118


def ticks(most: float, wanted: int = 6) -> list[float]:
    """Round numbers from 0 to `most`, about as many as wanted."""
    rough = most / wanted
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [k * step for k in range(int(most / step * (1 + 1e-9)) + 1)]


@dataclass(frozen=True)
class Axes:
    """A plot from (0, 0) to (`right`, 1) in a frame of pixels."""

    right: float
    width: float = 600.0
    height: float = 310.0
    left: float = 52.0
    top: float = 46.0

    def x(self, value: float) -> float:
        return self.left + self.width * value / self.right

    def y(self, share: float) -> float:
        return self.top + self.height * (1 - share)

    def frame(self, across: str, up: str, marks: Sequence[float]) -> list[str]:
        """Grid, tick labels and axis titles."""
        low = self.top + self.height
        parts = [self._level(share) for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
        parts += [tag("line", x1=self.x(m), x2=self.x(m), y1=low, y2=low + 4, class_="axis") for m in marks]
        parts += [words(f"{mark:g}", self.x(mark), low + 18, class_="tick", text_anchor="middle") for mark in marks]
        parts.append(words(across, self.left + self.width / 2, low + 38, class_="name", text_anchor="middle"))
        parts.append(words(up, 0, 13, class_="name"))
        return parts

    def _level(self, share: float) -> str:
        y, kind = self.y(share), "axis" if share == 0 else "grid"
        line = tag("line", x1=self.left, x2=self.left + self.width, y1=y, y2=y, class_=kind)
        return line + words(f"{share:.0%}", self.left - 8, y + 4, class_="tick", text_anchor="end")

    def line(self, points: Sequence[tuple[float, float]], colour: str, dash: str = "") -> str:
        """A line through (value, share) points."""
        path = "M" + "L".join(f"{self.x(value):.1f} {self.y(share):.1f}" for value, share in points)
        return tag("path", d=path, fill="none", stroke=colour, stroke_width=2, stroke_dasharray=dash or "none")

    def upright(self, value: float, text: str) -> str:
        """A marked place on the axis."""
        x = self.x(value)
        line = tag("line", x1=x, x2=x, y1=self.top, y2=self.top + self.height, class_="budget")
        return line + words(text, x, self.top - 6, class_="tick", text_anchor="middle")


def legend(entries: Sequence[tuple[str, str, str]], x: float, y: float) -> list[str]:
    """Lines of a key: (text, colour, dash), one under the other."""
    parts = []
    for row, (text, colour, dash) in enumerate(entries):
        at = y + 20 * row
        line = tag(
            "line", x1=x, x2=x + 26, y1=at, y2=at, stroke=colour, stroke_width=2, stroke_dasharray=dash or "none"
        )
        parts += [line, words(text, x + 34, at + 4, class_="key")]
    return parts
