"""The checked sections of a recipe."""

import math
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from hiercls.contracts.components import (
    Architecture,
    Attack,
    Certifier,
    Component,
    Dataset,
    Trainer,
    TreeBuilder,
)
from hiercls.values.labels import LabelTree
from hiercls.words.errors import HierclsError
from hiercls.words.norms import Norm
from hiercls.words.threats import Domain, Threat

Count = Annotated[StrictInt, Field(ge=1)]
Finite = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Budget = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]


class Section(BaseModel):
    """A part of the YAML whose every key is known."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class DataSpec(Section):
    """The examples.

    Attributes:
        allowed: the view whose mask restricts the labels of an input.
        held_out: training examples kept aside, as a share below 1 or a number.
    """

    dataset: Dataset
    allowed: StrictStr | None = None
    held_out: Annotated[StrictInt, Field(ge=0)] | Annotated[float, Field(ge=0, lt=1, strict=True)] = 0


class NetworkSpec(Section):
    """A named network over all labels; `view` is the threat's where the YAML names none."""

    architecture: Architecture
    trainer: Trainer
    certifier: Certifier | None = None
    view: StrictStr | None = None
    init: StrictStr | None = None


class ComposedSpec(Section):
    """A named network that is composed, not trained: the walk down the recipe's tree, as one network over all labels.

    Attributes:
        certifier: it has to be named, for no trainer suggests one; `none` certifies nothing.
        view: what all nodes read.
    """

    compose: Literal["tree"]
    certifier: Certifier | None = Field(description="no trainer suggests one; name it, or write none")
    view: StrictStr | None = None


class NodeSpec(Section):
    """What decides at one node: restricted from a named network, or a network of its own."""

    restrict: StrictStr | None = None
    architecture: Architecture | None = None
    trainer: Trainer | None = None
    init: StrictStr | None = None
    certifier: Certifier | None = None
    view: StrictStr | None = None

    def criterion(self) -> tuple[str, ...]:
        """What the node is asked to satisfy: nodes with the same value are equal for `truncate: {criterion: equal}`."""
        parts = (self.trainer, self.certifier)
        return (self.restrict or "", self.view or "", *map(_identity, parts))


class Truncate(Section):
    """Where a tree is cut: below a depth, or below the last change of what nodes are asked to satisfy."""

    depth: Annotated[StrictInt, Field(ge=0)] | None = None
    criterion: Literal["equal"] | None = None

    @model_validator(mode="after")
    def _one(self) -> "Truncate":
        if (self.depth is None) == (self.criterion is None):
            raise ValueError("write either `depth: d` or `criterion: equal`")
        return self


class TreeSpec(Section):
    """The label tree: given by groups, grown by a builder, or flat where neither is named."""

    groups: Any = None
    build: TreeBuilder | None = None
    truncate: Truncate | None = None
    _given: LabelTree | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _one(self) -> "TreeSpec":
        if self.groups is not None and self.build is not None:
            raise ValueError("found both groups and build; keep one of the two")
        if self.truncate is not None and self.groups is None and self.build is None:
            raise ValueError("found truncate without groups or build; a flat tree has nothing to cut")
        return self

    @property
    def given(self) -> LabelTree | None:
        """The tree of `groups`, before truncation."""
        return self._given

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeSpec) and self.__dict__ == other.__dict__


class Each(Section):
    """The first `each` inputs of every label set at `level`."""

    each: Count
    level: Annotated[StrictInt, Field(ge=0)]


class CertifySpec(Section):
    """How much is certified, and at which level.

    Attributes:
        inputs: the first k of a seeded permutation, or `{each: k, level: n}`.
        joint: divide alpha by the largest number of smoothed nodes on a path.
        batch: how many inputs a prover may have in flight; it changes no result.
    """

    inputs: Count | Literal["all"] | Each = "all"
    alpha: Annotated[float, Field(gt=0, lt=0.5, strict=True)] = 0.001
    joint: StrictBool = False
    batch: Count | None = None


class AuditSpec(Section):
    """How many certified inputs are attacked, and how."""

    attack: Attack
    inputs: Count = 100


class ReportSpec(Section):
    """What the report adds: affinity sets of labels, by name."""

    affinity: dict[str, tuple[StrictStr, ...]] = {}


class PluginFile(Section):
    """A plugin that the YAML names by path, with the hash of its content."""

    path: StrictStr
    sha256: StrictStr | None = None


class Grid(Section):
    """An even grid of `levels` steps in a box."""

    levels: Count = 255
    box: tuple[Finite, Finite] = (0.0, 1.0)


class Bounds(Section):
    """A box, or a grid in one."""

    box: tuple[Finite, Finite] | None = None
    grid: Count | Grid | None = None

    @model_validator(mode="after")
    def _one(self) -> "Bounds":
        if (self.box is None) == (self.grid is None):
            raise ValueError("write `all`, `{box: [low, high]}` or `{grid: levels}`")
        return self


def _norm(text: Any) -> Any:
    if isinstance(text, Norm):
        return text
    try:
        return Norm.parse(text if isinstance(text, str) else repr(text))
    except HierclsError as error:
        raise ValueError(str(error).removeprefix("norm: ")) from None


class ThreatSection(Section):
    """The adversary, as it is written."""

    norm: Annotated[Norm, BeforeValidator(_norm), WithJsonSchema({"type": "string", "pattern": "^l(inf|[0-9.]+)$"})]
    budgets: tuple[Budget, ...] = ()
    view: StrictStr = "image"
    domain: Literal["all"] | Bounds = Bounds(box=(0.0, 1.0))

    @model_validator(mode="after")
    def _domain(self) -> "ThreatSection":
        try:
            self.threat()
        except HierclsError as error:
            raise ValueError(str(error)) from None
        return self

    def threat(self) -> Threat:
        return Threat(self.norm, tuple(sorted(set(self.budgets))), self.view, self._read_domain())

    def _read_domain(self) -> Domain:
        if not isinstance(self.domain, Bounds):
            return Domain("all")
        if self.domain.box is not None:
            return Domain("box", *self.domain.box)
        grid = self.domain.grid if isinstance(self.domain.grid, Grid) else Grid(levels=self.domain.grid or 255)
        return Domain("grid", *grid.box, grid.levels)


def written_threat(threat: Threat) -> dict[str, Any]:
    """A threat as a YAML writes it."""
    domain = threat.domain
    box = [domain.lower, domain.upper]
    written = {"all": "all", "box": {"box": box}, "grid": {"grid": {"levels": domain.levels, "box": box}}}
    norm = "linf" if math.isinf(threat.norm.p) else f"l{threat.norm.p:.17g}"
    return {"view": threat.view, "norm": norm, "budgets": list(threat.budgets), "domain": written[domain.kind]}


def _identity(component: Component | None) -> str:
    return "" if component is None else f"{type(component).__qualname__}{component.model_dump_json()}"
