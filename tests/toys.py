"""Small components of every kind, right as they stand, and wrong in one way each when a fault is named."""

from collections.abc import Mapping
from pathlib import Path

from hiercls.contracts.components import Architecture, Attack, Certifier, Dataset, Examples, Trainer
from hiercls.words.norms import L2


class HalfSpaces(Certifier):
    """Exact l2 radii of linear networks, pair by pair."""

    norm = L2
    fault: str = ""

    def deploy(self, network, heads, view, context):
        from toy_arithmetic import deploy_half_spaces

        return deploy_half_spaces(self.fault, network, heads, view, context)


class Votes(Certifier):
    """Cohen's procedure, one input at a time."""

    norm = L2
    random = True
    fault: str = ""
    sigma: float = 0.25
    draws: int = 400

    def deploy(self, network, heads, view, context):
        from toy_arithmetic import VotingProver

        return VotingProver(self, network, heads, view, context)


class Climb(Attack):
    """A few projected steps on the scores."""

    fault: str = ""

    def perturb(self, prover, inputs, goal, budget, context):
        from toy_arithmetic import climb

        return climb(self.fault, prover, inputs, goal, budget, context)


class Means(Trainer):
    """The linear network that names the nearest mean."""

    fault: str = ""

    def fit(self, network, task, context):
        from toy_arithmetic import fit_means

        return fit_means(self.fault, network, task, context)

    def certifier(self):
        return {"half-spaces": {"fault": float("nan")} if self.fault == "nan" else {}}


class Affine(Architecture):
    """One affine layer."""

    fault: str = ""

    def build(self, shape, outputs):
        from toy_arithmetic import affine

        return affine(self.fault, shape, outputs)


class Stripes(Dataset):
    """Three kinds of stripes, with a place that forbids one wrong label."""

    fault: str = ""

    def labels(self, root: Path | None) -> tuple[str, ...]:
        return ("a", "b", "b" if self.fault == "label twice" else "c")

    def views(self) -> Mapping[str, tuple[int, ...]]:
        return {"image": (1, 3, 4) if self.fault == "shape" else (1, 3, 3)}

    def masks(self) -> tuple[str, ...]:
        return ("place",)

    def load(self, split: str, root: Path | None) -> Examples:
        from toy_arithmetic import stripes

        return stripes(self.fault, split, root)


class Loose(Means):
    model_config = {"frozen": False, "extra": "ignore"}


class Unlike(Means):
    """A trainer that forgets an option when it is stored."""

    rate: float = 1.0

    def model_dump(self, **options):
        return {"fault": self.fault}
