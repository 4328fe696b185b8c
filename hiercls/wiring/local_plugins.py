"""The plugins that a YAML names by path: where they may lie, and that they are what they were."""

from collections.abc import Sequence
from pathlib import Path

from hiercls.wiring.layers import PluginPath, read_layers
from hiercls.wiring.problems import Problems
from hiercls.wiring.registry import Plugin, Registry
from hiercls.words.errors import DataError, PluginError


def add_plugins_of(recipe: Path, registry: Registry, allowed: bool) -> None:
    """Add the plugins that a YAML and those it extends name; nothing else of them is read.

    Raises:
        ConfigurationError: one lies outside the folder of its YAML, or has changed.
        DataError: one cannot be read.
        PluginError: one is broken.
    """
    problems = Problems()
    load_plugins(read_layers(recipe, (), Problems()).plugins, registry, allowed, problems)
    problems.settle()


def load_plugins(
    plugins: Sequence[PluginPath], registry: Registry, allowed: bool, problems: Problems
) -> list[dict[str, str]]:
    """Add plugins to the registry; returns where each is and the hash of its content.

    Args:
        allowed: whether they may lie outside the folder of the YAML that names them.
    """
    found = [_loaded(plugin, registry, allowed, problems) for plugin in plugins]
    return [
        {"path": str(plugin.path), "sha256": str(plugin.sha256)}
        for plugin in dict.fromkeys(found)
        if plugin is not None
    ]


def _loaded(plugin: PluginPath, registry: Registry, allowed: bool, problems: Problems) -> Plugin | None:
    if not (plugin.below or allowed):
        right = "move it there, or allow it with --allow-plugins"
        problems.add(plugin.source, f"{plugin.path} lies outside the folder of its YAML; {right}")
        return None
    try:
        loaded = registry.add_path(plugin.path)
    except DataError as error:
        problems.add(plugin.source, str(error), DataError)
        return None
    if plugin.sha256 not in (None, loaded.sha256):
        found = f"its SHA-256 is {loaded.sha256}, and the recipe names {plugin.sha256}"
        problems.add(plugin.source, f"{plugin.path} is not what it was: {found}")
    for broken in registry.broken:
        if broken.plugin == loaded:
            problems.add(plugin.source, str(broken), PluginError)
    return loaded
