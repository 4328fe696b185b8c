"""What an adversary may do: one view, one norm, one domain, some budgets."""

from dataclasses import dataclass
from typing import Literal

from hiercls.words.errors import ConfigurationError
from hiercls.words.norms import LINF, Norm


@dataclass(frozen=True)
class Domain:
    """Where perturbed inputs lie: everywhere, in a box, or on an even grid of `levels` steps in a box."""

    kind: Literal["all", "box", "grid"] = "box"
    lower: float = 0.0
    upper: float = 1.0
    levels: int = 255

    def __post_init__(self) -> None:
        if self.kind != "all" and not self.lower < self.upper:
            raise ConfigurationError(f"domain: the box [{self.lower:g}, {self.upper:g}] is empty")
        if self.kind == "grid" and self.levels < 1:
            raise ConfigurationError(f"domain: a grid needs at least 1 step, found {self.levels}")

    @property
    def bounded(self) -> bool:
        return self.kind != "all"

    def holds(self, other: "Domain") -> bool:
        """Whether every input of `other` lies in this domain, so that a claim on this one serves it."""
        if self.kind == "all" or self == other:
            return True
        inside = other.bounded and self.lower <= other.lower and other.upper <= self.upper
        return self.kind == "box" and inside

    def intersect(self, other: "Domain") -> "Domain":
        """The inputs of both domains.

        Raises:
            ConfigurationError: the two share no input, or the shared ones are no box and no grid of theirs.
        """
        if other.holds(self):
            return self
        if self.holds(other):
            return other
        if self.kind == other.kind == "box":
            return Domain("box", max(self.lower, other.lower), min(self.upper, other.upper))
        raise ConfigurationError(f"domain: certificates on {self} and on {other} have no common domain")

    def excess(self, budget: float) -> str | None:
        """Why an l_inf budget cannot be meant, as a clause: every input of the domain lies within it; None if it can.

        A whole number stands for steps of 1/255 where the domain is [0, 1].
        """
        if not self.bounded or budget <= self.upper - self.lower:
            return None
        text = f"every input in {self} lies within linf {budget:g}; budgets are in units of the view"
        steps = (self.lower, self.upper) == (0, 1) and budget == int(budget) and budget <= 255
        return f"{text}, did you mean {int(budget)}/255?" if steps else text

    def __str__(self) -> str:
        if self.kind == "all":
            return "all"
        steps = f" in steps of 1/{self.levels}" if self.kind == "grid" else ""
        return f"[{self.lower:g}, {self.upper:g}]{steps}"


EVERYWHERE = Domain("all")


@dataclass(frozen=True)
class Threat:
    """The adversary: it perturbs one `view` by at most a budget in `norm`, and stays in `domain`."""

    norm: Norm = LINF
    budgets: tuple[float, ...] = ()
    view: str = "image"
    domain: Domain = Domain()

    def __post_init__(self) -> None:
        for budget in self.budgets:
            if not 0 < budget < float("inf"):
                raise ConfigurationError(f"threat.budgets: {budget!r} is not a positive finite number")
        names = [f"{budget:g}" for budget in self.budgets]  # figures are told by them
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(f"threat.budgets: {name} stands there more than once, to six digits")

    def identity(self) -> list[object]:
        """What the threat is, in full, for a key; texts round."""
        domain = self.domain
        box = [domain.lower, domain.upper] if domain.bounded else None
        levels = domain.levels if domain.kind == "grid" else None
        return [self.norm.p, self.view, domain.kind, box, levels, list(self.budgets)]

    def reaches(self, view: str | None) -> bool:
        return view == self.view
