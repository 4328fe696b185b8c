"""Components that do nothing, for tests of the registry and of recipes. No torch here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from hiercls.contracts.components import Architecture, Attack, Certifier, Dataset, Metric, Trainer, TreeBuilder
from hiercls.contracts.hookspecs import Spec, hookimpl
from hiercls.words.errors import DataError
from hiercls.words.norms import L2, LINF, Norm
from hiercls.words.threats import Threat

LABELS = ("airplane", "bird", "cat", "dog", "ship", "1")


class Zoo(Dataset):
    lost: bool = False

    def labels(self, root: Path | None) -> tuple[str, ...]:
        if self.lost:
            raise DataError(f"zoo: nothing found under {root}")
        return LABELS

    def views(self) -> Mapping[str, tuple[int, ...]]:
        return {"image": (1, 4, 4), "lidar": (3,), "location": (2,)}

    def masks(self) -> tuple[str, ...]:
        return ("location",)

    def load(self, split: str, root: Path | None) -> Any:
        raise AssertionError("recipes load no examples")


class Tiny(Architecture):
    width: int = Field(default=4, gt=0)

    def build(self, shape: tuple[int, ...], outputs: int) -> Any:
        raise AssertionError("recipes build no networks")


class Schedule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=2, gt=0)
    optimizer: Literal["adam", "sgd"] = "adam"


class Plain(Trainer):
    schedule: Schedule = Schedule()

    def fit(self, network: Any, task: Any, context: Any) -> Any:
        raise AssertionError("recipes fit nothing")


class Noisy(Plain):
    sigma: float = Field(gt=0, description="noise standard deviation")

    def certifier(self) -> Mapping[str, Mapping[str, Any]]:
        return {"smoothing": {"sigma": self.sigma}}


class Boxed(Plain):
    eps: float = Field(gt=0)

    def certifier(self) -> Mapping[str, Mapping[str, Any]]:
        return {"boxes": {}}


class Smoothing(Certifier):
    norm: ClassVar[Norm] = L2
    random: ClassVar[bool] = True
    any_function: ClassVar[bool] = True
    sigma: float = Field(gt=0)
    draws: int = Field(default=1000, gt=0)

    def refusal(self, threat: Threat) -> str | None:
        return None if threat.domain.kind != "grid" else "noise leaves the grid"

    def warnings(self, threat: Threat, alpha: float) -> tuple[str, ...]:
        return (f"{self.draws} draws are few for alpha {alpha:g}.",) if self.draws < 10 else ()

    def deploy(self, network: Any, heads: Any, view: str, context: Any) -> Any:
        raise AssertionError("recipes deploy nothing")


class Boxes(Smoothing):
    norm: ClassVar[Norm] = LINF
    random: ClassVar[bool] = False
    any_function: ClassVar[bool] = False
    sigma: float = 1.0

    def refusal(self, threat: Threat) -> str | None:
        return None if threat.domain.bounded else "interval boxes need a bounded domain"


class Climb(Attack):
    steps: int = 10

    def perturb(self, prover: Any, inputs: Any, goal: Any, budget: Any, context: Any) -> Any:
        raise AssertionError("recipes attack nothing")


class Merge(TreeBuilder):
    of: str

    def needs(self) -> tuple[str, ...]:
        return (self.of,)

    def build(self, labels: Any, networks: Any, held_out: Any, context: Any) -> Any:
        raise AssertionError("recipes grow nothing")


class Share(Metric):
    at: float = 0.5

    def measure(self, certificates: Any, truth: Any, threat: Threat) -> Mapping[str, float]:
        raise AssertionError("recipes measure nothing")


@hookimpl
def hiercls_components():
    here = __name__
    yield Spec("dataset", "zoo", f"{here}:Zoo", "six labels")
    yield Spec("architecture", "tiny", f"{here}:Tiny", "a small network")
    yield Spec("trainer", "standard", f"{here}:Plain", "cross-entropy")
    yield Spec("trainer", "gaussian", f"{here}:Noisy", "cross-entropy on noise")
    yield Spec("trainer", "boxed", f"{here}:Boxed", "interval bounds")
    yield Spec("certifier", "smoothing", f"{here}:Smoothing", "randomised smoothing")
    yield Spec("certifier", "boxes", f"{here}:Boxes", "interval bounds")
    yield Spec("attack", "pgd", f"{here}:Climb", "projected ascent")
    yield Spec("tree-builder", "merge", f"{here}:Merge", "from confusions")
    yield Spec("metric", "share", f"{here}:Share", "a share")
