"""The l_p norms in which perturbations are measured."""

import math
from dataclasses import dataclass

from hiercls.words.errors import ConfigurationError


@dataclass(frozen=True)
class Norm:
    """An l_p norm, 1 <= p <= inf, over all entries of the raw view."""

    p: float

    def __post_init__(self) -> None:
        if not self.p >= 1:
            raise ConfigurationError(f"norm: l{self.p:g} is not a norm; p must be at least 1")

    @classmethod
    def parse(cls, text: str) -> "Norm":
        """Read `linf`, `l2`, `l1` or `l<p>`.

        >>> Norm.parse("linf").p
        inf
        """
        try:
            return cls(float(text.lower().removeprefix("l").lstrip("_")))
        except ValueError:
            raise ConfigurationError(f"norm: {text!r} is unknown; write linf, l2, l1 or l<p>") from None

    @property
    def dual(self) -> "Norm":
        """The norm of the gradient that bounds a linear function: 1/p + 1/q = 1."""
        if self.p == 1:
            return LINF
        return Norm(1.0) if math.isinf(self.p) else Norm(self.p / (self.p - 1))

    def __str__(self) -> str:
        return f"l{self.p:g}"


LINF = Norm(math.inf)
L2 = Norm(2.0)
L1 = Norm(1.0)


def radius_factor(held: Norm, asked: Norm, entries: int) -> float:
    """The factor that turns a radius in `held` into one in `asked`, rounded down.

    A ball of the smaller p lies inside the ball of the larger p with the same radius, so the
    factor is 1 for asked.p <= held.p; otherwise it is entries^(1/q - 1/p), by Hoelder's
    inequality, with p the held and q the asked norm and `entries` the entries of the raw view.
    """
    if asked.p <= held.p:
        return 1.0
    # Each reciprocal and their difference is off by at most 2^-53: the slack covers them and the power.
    exponent = (0.0 if math.isinf(asked.p) else 1.0 / asked.p) - 1.0 / held.p - 4e-16
    return math.nextafter(float(entries) ** exponent * (1 - 1e-15), 0.0)
