"""What floating-point arithmetic may add to a bound.

A deployed float32 network computes another function than its real-valued one. Each operation of it errs by at
most a multiple of the magnitudes that it adds up, in whatever order it adds them (Higham 2002, section 3.1):

    |fl(Wv + b) - (Wv + b)| <= g (|W||v| + |b|),   g = n u / (1 - n u)

with n the terms of a sum and u the unit roundoff. Bounds widened by that at every operation, and themselves
computed in float64, enclose both functions: the real-valued network errs by nothing, and float64's own errors
are covered by the terms that `n` counts too many.
"""

from dataclasses import dataclass

import torch

from hiercls.words.errors import HierclsError
from hiercls_plugins.bounds.boxes import Box

TINY = 1e-30
"""More than all products of one sum lose by underflow, flushed to zero or not.

A factor that is flushed to zero itself loses up to 2^-126 of the other one: TINY is added to both before they
meet, and even times the smallest `growth` it is more than that.
"""

LARGEST = 1e37
"""Above it a float32 network may overflow, and nothing is claimed."""

SPARE = 4
"""Roundings counted beside the additions of a sum: the product, the bias, the bound's own arithmetic."""


@dataclass(frozen=True)
class Rounding:
    """The unit roundoff of the arithmetic to enclose; 0 encloses nothing but the plain formulas."""

    unit: float

    def __bool__(self) -> bool:
        return self.unit > 0

    def growth(self, terms: int) -> float:
        """The relative error of a sum of `terms` products."""
        steps = (terms + SPARE) * self.unit
        if steps >= 0.5:
            raise HierclsError("bounds: a sum of so many terms has no error bound in float32")
        return steps / (1 - steps)

    def widened(self, box: Box, roundings: int, total: torch.Tensor | None = None) -> Box:
        """A box that also holds what `roundings` elementwise operations may add to its members.

        Where a member or a partial sum may overflow float32, its input's radii become infinite.

        Args:
            total: (N, ...) bounds of all partial sums in absolute value, where they may exceed the members'.

        Raises:
            HierclsError: a radius is negative: no box, and nothing may be concluded from it.
        """
        if not self:
            return box
        if bool((box.radius < 0).any()):
            raise HierclsError("bounds: an operation gave a box of negative radius, so nothing can be certified")
        magnitude = box.magnitude
        radius = box.radius + (roundings * self.unit * magnitude + TINY)
        safe = magnitude.flatten(1).amax(dim=1) <= LARGEST
        if total is not None:
            safe = safe & (total.flatten(1).amax(dim=1) <= LARGEST)
        shape = (-1,) + (1,) * (radius.dim() - 1)
        return Box(box.centre, torch.where(safe.reshape(shape), radius, torch.inf))


PLAIN = Rounding(0.0)
"""For training: nothing is proved."""

FLOAT32 = Rounding(2.0**-24)
"""For certificates on networks that run in float32."""
