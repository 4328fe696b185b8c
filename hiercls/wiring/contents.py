"""The recipe: everything a YAML says, as checked values."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, StrictInt, StrictStr

from hiercls.contracts.components import Component, Metric
from hiercls.values.labels import LabelTree, Node, flat_tree
from hiercls.values.truncation import truncate_depth, truncate_equal
from hiercls.wiring.nodes import NodeReading
from hiercls.wiring.specs import (
    AuditSpec,
    CertifySpec,
    ComposedSpec,
    Count,
    DataSpec,
    NetworkSpec,
    NodeSpec,
    PluginFile,
    ReportSpec,
    Section,
    TreeSpec,
)
from hiercls.wiring.writing import as_yaml, component_document
from hiercls.words.threats import Threat


def _names(written: Any) -> Any:
    return (written,) if isinstance(written, str) else written


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(f"found {name!r}; a name of letters, digits, '.', '_' and '-' is right, for it names a folder")
    return name


class Recipe(Section):
    """Everything that a YAML says.

    Attributes:
        name: the run's folder; never inherited through `extends`, and the file's own name where it is missing.
        threads: torch threads of a training job.
        nodes: the selectors as they are written; `node_specs` resolves them.
        baseline: networks that are certified beside the tree, each as a tree of depth 1.
    """

    name: Annotated[StrictStr, AfterValidator(_folder_name)]
    seed: Annotated[StrictInt, Field(ge=0)] = 0
    threads: Count = 1
    plugins: tuple[PluginFile, ...] = ()
    data: DataSpec
    threat: Threat = Threat()
    networks: dict[str, ComposedSpec | NetworkSpec] = {}
    tree: TreeSpec = TreeSpec()
    nodes: dict[str, Any] = {}
    baseline: Annotated[tuple[StrictStr, ...], BeforeValidator(_names)] = ()
    certify: CertifySpec = CertifySpec()
    audit: AuditSpec
    metrics: tuple[Metric, ...] = ()
    report: ReportSpec = ReportSpec()

    _source: Path = PrivateAttr()
    _labels: tuple[str, ...] = PrivateAttr()
    _reading: NodeReading = PrivateAttr()

    @property
    def source(self) -> Path:
        """The YAML that was read."""
        return self._source

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the dataset."""
        return self._labels

    def node_specs(self, tree: LabelTree, every: bool | None = None) -> dict[Node, NodeSpec]:
        """What decides at each node of a tree.

        Args:
            every: refuse selectors that match no node; by default unless the tree was cut by
                `criterion: equal`, which may leave nothing for a selector that had its say above.

        Raises:
            ConfigurationError: all that is wrong, each with its position.
        """
        by_criterion = self.tree.truncate is not None and self.tree.truncate.criterion is not None
        return self._reading.settled(tree, not by_criterion if every is None else every)

    def truncated(self, tree: LabelTree) -> LabelTree:
        """The tree that is left after `truncate`."""
        cut = self.tree.truncate
        if cut is None:
            return tree
        if cut.depth is not None:
            return truncate_depth(tree, cut.depth)
        specs = self.node_specs(tree, every=True)
        return truncate_equal(tree, lambda node: specs[node].criterion())

    def written_tree(self) -> LabelTree | None:
        """The tree that the YAML itself gives, truncated: by groups, or flat; None for a derived one."""
        if self.tree.build is not None:
            return None
        return self.truncated(self.tree.given or flat_tree(self.labels))

    def document(self, component: Component) -> dict[str, Any]:
        """A component of this recipe as a YAML writes it: its name and all of its options."""
        return component_document(component, self._reading.names)

    def resolved(self) -> str:
        """The whole recipe as YAML, every default written out; read again it gives an equal recipe."""
        return as_yaml(self, self._reading.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.__dict__ == other.__dict__
