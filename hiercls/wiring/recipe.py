"""A YAML becomes a recipe: checked values, every mistake told at once and with its place."""

from collections.abc import Sequence
from pathlib import Path

from hiercls.wiring.building import Builder
from hiercls.wiring.contents import Recipe
from hiercls.wiring.layers import RESOLVED, read_layers
from hiercls.wiring.problems import Problems
from hiercls.wiring.reading import Reading
from hiercls.wiring.registry import Registry
from hiercls.wiring.specs import ComposedSpec, NetworkSpec, NodeSpec, TreeSpec

__all__ = ["RESOLVED", "ComposedSpec", "NetworkSpec", "NodeSpec", "Recipe", "TreeSpec", "load_recipe"]


def load_recipe(
    path: Path | str,
    registry: Registry | None = None,
    overrides: Sequence[str] = (),
    allow_plugins: bool = False,
    root: Path | None = None,
) -> Recipe:
    """Read a YAML.

    Args:
        registry: the plugins; those that the YAML names by path are added to it.
        overrides: `key.path=value`, set on top of the file.
        allow_plugins: also load plugins that lie outside the folder of the YAML that names them.
        root: the folder that holds datasets.

    Raises:
        ConfigurationError: everything that is wrong with it, one line each.
        PluginError: nothing is wrong but a plugin that it needs.
        DataError: a file cannot be read, or a dataset does not tell its labels.
    """
    problems = Problems()
    layers = read_layers(Path(path), overrides, problems)
    builder = Builder(registry or Registry.load(), problems)
    return Reading(Path(path), layers, builder, allow_plugins, root).recipe()
