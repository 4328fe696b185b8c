"""Numbers as they are shown: what is claimed is rounded down, counts are exact."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from hiercls.words.norms import Norm

NOTHING = "–"
"""Shown where there is no input to speak of."""


@dataclass(frozen=True)
class Share:
    """`count` of `total` inputs."""

    count: int
    total: int

    @property
    def value(self) -> float | None:
        return self.count / self.total if self.total else None

    def down(self, places: int | None = None) -> str:
        """Percent, rounded down: for what is claimed; `places` are the decimals of its column."""
        return self._percent(lambda scaled: scaled // self.total, places)

    def up(self, places: int | None = None) -> str:
        """Percent, rounded up: for what is conceded."""
        return self._percent(lambda scaled: -(-scaled // self.total), places)

    def nearest(self, places: int | None = None) -> str:
        """Percent, rounded half up: for what is observed."""
        return self._percent(lambda scaled: (2 * scaled + self.total) // (2 * self.total), places)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The Clopper-Pearson interval of the fraction from which the inputs are drawn.

        Assumes that the inputs are a random sample; (0, 1) where there are none.
        """
        from scipy.special import betaincinv

        tail, misses = (1 - confidence) / 2, self.total - self.count
        low = float(betaincinv(self.count, misses + 1, tail)) if self.count else 0.0
        high = float(betaincinv(self.count + 1, misses, 1 - tail)) if misses else 1.0
        return low, high

    def interval_text(self) -> str:
        """The interval in percent, its ends rounded outward."""
        if not self.total:
            return ""
        low, high = (Decimal(end) * 100 for end in self.interval())
        step = Decimal(1).scaleb(-decimals(self.total))
        return f"{low.quantize(step, ROUND_FLOOR)}–{high.quantize(step, ROUND_CEILING)}"

    def counted(self) -> str:
        return f"{self.count:,} of {self.total:,}"

    def _percent(self, rounded: Callable[[int], int], places: int | None) -> str:
        if not self.total:
            return NOTHING
        places = decimals(self.total) if places is None else places
        digits = rounded(self.count * 100 * 10**places)
        return f"{digits // 10**places}.{digits % 10**places:0{places}d}%"


def decimals(total: int) -> int:
    """The decimals of a percentage that one input of `total` can move."""
    return 1 if total <= 1000 else 2


def fraction_text(value: float | None) -> str:
    """A figure given as a fraction, in percent to .01, rounded to the nearest."""
    return NOTHING if value is None else f"{100 * value:.2f}%"


def error_text(value: float | None) -> str:
    """An error given as a fraction, in percent to .01, rounded up.

    >>> error_text(0.14), error_text(0.12341)
    ('14.00%', '12.35%')
    """
    if value is None:
        return NOTHING
    return f"{(Decimal(repr(value)) * 100).quantize(Decimal('0.01'), ROUND_CEILING)}%"


def rounded_down(value: float | None, places: int = 4) -> str:
    """A radius or another claim, rounded down: four decimals, fewer digits only where it is tiny.

    >>> rounded_down(0.29999), rounded_down(0.00001299), rounded_down(math.inf)
    ('0.2999', '1.2e-5', '∞')
    """
    if value is None:
        return NOTHING
    if math.isinf(value):
        return "∞"
    if 0 < value < 10 ** (1 - places):
        exponent = Decimal(repr(value)).adjusted()
        leading = Decimal(repr(value)).scaleb(-exponent).quantize(Decimal("0.1"), ROUND_FLOOR)
        return f"{leading}e{exponent}"
    return f"{Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), ROUND_FLOOR)}"


def rounded_up(value: float | None, places: int = 2) -> str:
    """A size that is conceded, rounded up."""
    return NOTHING if value is None else f"{Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), ROUND_CEILING)}"


def budget_text(budget: float) -> str:
    """A budget as people write it.

    >>> budget_text(8 / 255), budget_text(0.1), budget_text(0.2)
    ('8/255', '0.1', '0.2')
    """
    steps = budget * 255
    if len(f"{budget:g}") > 6 and math.isclose(steps, round(steps), rel_tol=1e-9):
        return f"{round(steps)}/255"
    return f"{budget:g}"


def norm_text(norm: Norm) -> str:
    """The norm with its index as a sign that needs no markup."""
    return {math.inf: "ℓ∞", 1.0: "ℓ1", 2.0: "ℓ2"}.get(norm.p, f"ℓ{norm.p:g}")


def alpha_text(alpha: float) -> str:
    """A failure probability, rounded up to three digits beyond the noise of its own sum.

    >>> alpha_text(0.001), alpha_text(0.00033333333), alpha_text(0.1 + 0.2)
    ('0.001', '0.000334', '0.3')
    """
    exact = Decimal(f"{alpha:.12g}")
    raised = exact.quantize(Decimal(1).scaleb(exact.adjusted() - 2), ROUND_CEILING)
    return f"{float(raised):g}"
