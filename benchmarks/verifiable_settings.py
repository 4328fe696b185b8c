"""The settings and rows of the tables of the pairwise-similarity paper (AAAI 2021), with its published figures."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from verifiable_published import CIFAR_2, CIFAR_8, FASHION_1, FASHION_3, GROUPED, LARGE, Figures

FOLDER = Path("configs/verifiable")

LEAST_EPOCHS = 20
"""No figure of a network trained for fewer stands in a table."""


@dataclass(frozen=True)
class Row:
    """One classifier of a table.

    Attributes:
        parts: YAML files layered over the setting's own; none for the setting's tree itself.
        flat: the named network that is the row, beside the setting's tree; None where the tree is the row.
        binary: whether every decision of its tree is to be between two children.
        against: the published row that it stands beside, where that has another name.
        published: None where the source has no such row.
    """

    name: str
    parts: tuple[str, ...] = ()
    flat: str | None = None
    binary: bool = False
    against: str | None = None
    published: Figures | None = None


@dataclass(frozen=True)
class Setting:
    """One table: a data set, its budgets, and rows that are trained in their order.

    Attributes:
        name: for the command line and for the folders of runs.
        config: the YAML that every row is layered over.
        source: the data and the budget of the published figures.
        inner, outer: the budgets inside and between the sides of the root split; the same where there is one.
        tree_of_flat_rows: what is changed of the recipe's tree for flat rows; IGRP is trained for this tree.
        same_data: whether the published figures are of the same data, so that lower is better.
        most_parameters: of one network; None for no limit.
        most_natural_error: of the flat natural network, as a fraction, before any row counts; None for no limit.
        by_request: whether it is trained only where it is named.
    """

    name: str
    title: str
    config: str
    rows: tuple[Row, ...]
    source: str
    outer: float
    inner: float | None = None
    seeds: tuple[int, ...] = (0,)
    tree_of_flat_rows: Mapping[str, object] | None = None
    layers: tuple[str, ...] = ()
    selectors: tuple[str, ...] = ("all",)
    same_data: bool = False
    most_parameters: int | None = None
    most_natural_error: float | None = None
    by_request: bool = False

    def run_name(self, seed: int) -> str:
        """The folder that all rows of a seed share."""
        return f"verifiable-{self.name}-seed-{seed}"

    @property
    def has_goal(self) -> bool:
        """Whether a mixed tree of it may reach GOAL."""
        return self.same_data and (self.outer, self.inner) == (0.1, None)

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns of the table and the metric that each shows."""
        outer = ("verified inter-group error", f"verified inter-group error @{self.outer:g}")
        if self.inner is None:
            return dict([("error", "error"), ("inter-group error", "inter-group error"), outer])
        inner = f"verified intra-group error @{self.inner:g}"
        return dict([("error", "error"), outer, ("verified intra-group error", inner)])

    @property
    def beside(self) -> Mapping[str, str]:
        """Readings that the source leaves open, each with its metric: whether the root counts inside groups."""
        if self.inner is None:
            return {}
        name = "verified intra-group error, root included"
        return {name: f"{name} @{self.inner:g}"}


CUT = {"truncate": {"depth": 1}}
"""The tree of the root split alone."""


def table_1(
    mixed: str, published: Mapping[str, Figures], robust: str = "crown-ibp", name: str = "CROWN-IBP", start: str = ""
) -> tuple[Row, ...]:
    """The seven rows of Table 1.

    Args:
        mixed: the part that makes the tree mixed.
        robust: the flat robust network, and `name` that of its row.
        start: what the parts that fine-tune from it begin with.
    """
    trees = {
        "Full NDT": (),
        "Full NDT-FT": (f"parts/{start}full-ft.yaml",),
        "Mixed NDT": (mixed,),
        "Mixed NDT-FT": (mixed, f"parts/{start}mixed-ft.yaml"),
    }
    rows = [Row(name, flat=robust, against="CROWN-IBP", published=published["CROWN-IBP"])]
    rows += [Row(each, flat=each.lower(), published=published[each]) for each in GROUPED]
    for each, parts in trees.items():
        rows.append(Row(each, parts, binary=each.startswith("Full"), published=published[each]))
    return tuple(rows)


MIXED, CIFAR_MIXED = "parts/fashion-mixed.yaml", "parts/cifar10-jpeg-mixed.yaml"
GREY, COLOUR = 275_714, 337_298
"""The parameters of the source's networks."""

_FASHION = Setting(
    "fashion-0.1",
    "Fashion-MNIST, l_inf 0.1 (Tables 1 and 5)",
    "fashion-0.1.yaml",
    table_1(MIXED, FASHION_1),
    source="Fashion-MNIST, 0.1",
    outer=0.1,
    seeds=(0, 1, 2),
    tree_of_flat_rows=CUT,
    same_data=True,
    most_parameters=GREY,
)
_CIFAR = Setting(
    "cifar10-jpeg-8",
    "cifar10-jpeg, a data set of its own, l_inf 8/255 (Tables 1 and 5)",
    "cifar10-jpeg-8.yaml",
    table_1(CIFAR_MIXED, CIFAR_8),
    source="CIFAR-10, 8/255",
    outer=8 / 255,
    tree_of_flat_rows=CUT,
    most_parameters=COLOUR,
    most_natural_error=0.25,
)
_TABLE_1 = (
    _FASHION,
    replace(
        _FASHION,
        name="fashion-0.3",
        title="Fashion-MNIST, l_inf 0.3 (Tables 1 and 5)",
        config="fashion-0.3.yaml",
        rows=table_1(MIXED, FASHION_3),
        source="Fashion-MNIST, 0.3",
        outer=0.3,
        seeds=(0,),
    ),
)
_CIFARS = (
    _CIFAR,
    replace(
        _CIFAR,
        name="cifar10-jpeg-2",
        title="cifar10-jpeg, a data set of its own, l_inf 2/255 (Tables 1 and 5)",
        config="cifar10-jpeg-2.yaml",
        rows=table_1(CIFAR_MIXED, CIFAR_2),
        source="CIFAR-10, 2/255",
        outer=2 / 255,
    ),
)


def _depth(depth: int, error: float) -> Row:
    name = f"Truncated Mixed NDT, depth {depth}"
    return Row(name, (f"parts/gtsrb-depth-{depth}.yaml",), published=(error, 23.71, 28.70))


_GTSRB = Setting(
    "gtsrb",
    "GTSRB in the place of CIFAR-100, l_inf 2/255 (Table 3)",
    "gtsrb.yaml",
    (
        Row("CROWN-IBP", flat="crown-ibp", published=(68.98, 21.61, 38.72)),
        Row("Full NDT", published=(86.67, 23.71, 28.70)),
        _depth(3, 59.23),
        _depth(2, 53.94),
        _depth(1, 42.66),
    ),
    source="CIFAR-100, 2/255, ResNet-18",
    outer=2 / 255,
    tree_of_flat_rows=CUT,
)
_CRITERIA = Setting(
    "fashion-criteria",
    "Fashion-MNIST, several criteria: l_inf 0.3 between groups, 0.1 inside (Table 2)",
    "fashion-criteria.yaml",
    (
        Row("CROWN-IBP (small eps)", flat="crown-ibp-small", published=(15.40, 99.98, 23.31)),
        Row("CROWN-IBP (large eps)", flat="crown-ibp", published=(26.22, 23.39, 30.70)),
        Row("IGRP", flat="igrp", published=(24.11, 25.61, 29.62)),
        Row("IGRP-UBS", flat="igrp-ubs", published=(20.12, 25.10, 28.52)),
        Row("Mixed NDT", published=(18.97, 23.99, 26.49)),
        Row("Mixed NDT-FT", ("parts/criteria-ft.yaml",), published=(19.49, 21.59, 25.95)),
    ),
    source="Fashion-MNIST, 0.3 and 0.1",
    outer=0.3,
    inner=0.1,
    selectors=("all", "inner", "last"),
    same_data=True,
    most_parameters=GREY,
)
_MODERN = replace(
    _FASHION,
    name="fashion-modern",
    title="Fashion-MNIST, l_inf 0.1, with a modern trainer in the place of CROWN-IBP",
    config="fashion-modern.yaml",
    rows=table_1("parts/modern-mixed.yaml", FASHION_1, robust="modern", name="Flat IBP", start="modern-"),
    selectors=("all", "root"),
)


def _large(setting: Setting) -> Setting:
    rows = tuple(replace(row, published=LARGE[setting.name][row.name]) for row in setting.rows)
    return replace(
        setting,
        name=f"{setting.name}-dm-large",
        title=f"DM-Large: {setting.title.split(' (')[0]} (Tables 6 and 7)",
        rows=rows,
        layers=("parts/dm-large.yaml",),
        seeds=(0,),
        most_parameters=None,
        by_request=True,
    )


SETTINGS = (*_TABLE_1, _GTSRB, _CRITERIA, *_CIFARS, _MODERN, *map(_large, (*_TABLE_1, *_CIFARS)))
"""In the order in which they are trained."""
