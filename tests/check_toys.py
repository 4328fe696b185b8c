"""Recipes whose trainers and layers say and do what they are told to, loaded, warned of or refused."""

from pathlib import Path

import pytest

from hiercls.cli.main import main
from hiercls.values.labels import LabelTree
from hiercls.wiring.cautions import cautions
from hiercls.wiring.recipe import Recipe, load_recipe
from hiercls.wiring.registry import Registry
from hiercls.words.errors import ConfigurationError, HierclsError

TREE = '{low: {less: ["0", "1", "2"], more: ["3", "4"]}, high: ["5", "6", "7", "8", "9"]}'

SHAPES = """
from hiercls.contracts.components import Architecture, Certifier, Trainer
from hiercls.contracts.hookspecs import Spec, hookimpl
from hiercls.words.norms import L2


class Shape(Architecture):
    kind: str

    def build(self, shape, outputs):
        from torch import nn

        if self.kind == "dead":
            raise RuntimeError("a kernel larger than its input")
        layers = {
            "wide": [nn.Flatten(), nn.Linear(64, 9), nn.Linear(9, outputs)],
            "gelu": [nn.Flatten(), nn.Linear(64, 8), nn.GELU(), nn.Linear(8, outputs)],
            "narrow": [nn.Flatten(), nn.Linear(7, outputs)],
            "extra": [nn.Flatten(), nn.Linear(64, outputs + 1)],
            "plain": [nn.Flatten(), nn.Linear(64, outputs)],
        }
        return nn.Sequential(*layers[self.kind])


class Fit(Trainer):
    eps: float | None = None
    suggests: str = ""
    refuses: str = ""
    warns: str = ""

    def refusal(self, parts):
        return self.refuses or None

    def warnings(self):
        return (self.warns,) if self.warns else ()

    def fit(self, network, task, context):
        raise AssertionError("a check trains nothing")

    def budget(self):
        return self.eps

    def certifier(self):
        return {self.suggests: {}} if self.suggests else None


class Lipschitz(Certifier):
    norm = L2

    def deploy(self, network, heads, view, context):
        raise AssertionError("deployed")


@hookimpl
def hiercls_components():
    yield Spec("architecture", "shape", f"{__name__}:Shape", "some layers")
    yield Spec("trainer", "fit", f"{__name__}:Fit", "nothing")
    yield Spec("certifier", "lipschitz", f"{__name__}:Lipschitz", "another norm")
"""


@pytest.fixture
def shape_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shapes.py").write_text(SHAPES)

    def write_and_load(nodes: str, **sections: str) -> Recipe:
        given = {
            "plugins": "[shapes.py]",
            "data": "{dataset: digits}",
            "threat": "{norm: linf, budgets: [0.1]}",
            "tree": f"{{groups: {TREE}}}",
            "nodes": nodes,
        } | sections
        (tmp_path / "x.yaml").write_text("".join(f"{key}: {text}\n" for key, text in given.items() if text))
        return load_recipe(Path("x.yaml"), Registry.load())

    return write_and_load


def node(trainer: str, certifier: str = "ibp", kind: str = "plain") -> str:
    return f"{{architecture: {{shape: {{kind: {kind}}}}}, trainer: {{fit: {{{trainer}}}}}, certifier: {certifier}}}"


def warned(recipe: Recipe, tree: LabelTree | None = None) -> tuple[str, ...]:
    return cautions(recipe, tree or recipe.written_tree())


def told(work, *arguments, error: type[HierclsError] = ConfigurationError, **options) -> list[str]:
    with pytest.raises(error) as raised:
        work(*arguments, **options)
    assert type(raised.value) is error
    return str(raised.value).splitlines()


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err
