"""How training moves from clean inputs to boxes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ramp:
    """A budget that rises smoothly from 0 to `eps` and a clean weight that falls with it from 1 to `kappa`.

    The budget is a (s - start)^4 over the first quarter of the ramp, then linear, with equal slopes where they
    meet (Xu et al. 2020, the smoothed schedule of auto_LiRPA).

    Attributes:
        start, end: the ramp in epochs.
    """

    eps: float
    kappa: float
    start: float
    end: float

    def budget(self, passed: float) -> float:
        """The training budget when `passed` epochs are gone."""
        if passed <= self.start:
            return 0.0
        if passed >= self.end:
            return self.eps
        bent = (self.end - self.start) / 4
        gone = passed - self.start
        curve = self.eps / (4 * (self.end - self.start - bent) * bent**3 + bent**4)
        if gone < bent:
            return curve * gone**4
        return curve * bent**4 + 4 * curve * bent**3 * (gone - bent)

    def clean_weight(self, passed: float) -> float:
        """kappa, the weight of the clean loss."""
        return 1 - (1 - self.kappa) * self.progress(passed)

    def progress(self, passed: float) -> float:
        """The share of the final budget that is reached."""
        return self.budget(passed) / self.eps
