"""The plugins that a YAML names by path: where they may lie, and that they are what they were."""

from pathlib import Path

from hiercls.wiring.layers import RESOLVED, Layers, PluginPath, read_layers
from hiercls.wiring.path_plugins import sha256_of
from hiercls.wiring.problems import Problems
from hiercls.wiring.registry import Plugin, Registry
from hiercls.words.errors import DataError, PluginError


def add_plugins_of(recipe: Path, registry: Registry, allowed: bool) -> None:
    """Add the plugins that a YAML and those it extends name; nothing else of them is read.

    Raises:
        ConfigurationError: one lies outside the folder of its YAML, has changed, or lacks the hash it needs.
        DataError: one cannot be read.
        PluginError: one is broken.
    """
    problems = Problems()
    load_plugins(read_layers(recipe, (), Problems()), registry, allowed, problems)
    problems.settle()


def load_plugins(layers: Layers, registry: Registry, allowed: bool, problems: Problems) -> list[dict[str, str]]:
    """Add the plugins of all layers to the registry; returns where each is and the hash of its content.

    A plugin that may not be loaded is never run: where it lies and what it holds are checked before.

    Args:
        allowed: whether they may lie outside the folder of the YAML that names them.
    """
    found = [_loaded(plugin, layers.resolved, registry, allowed, problems) for plugin in layers.plugins]
    return [
        {"path": str(plugin.path), "sha256": str(plugin.sha256)}
        for plugin in dict.fromkeys(found)
        if plugin is not None
    ]


def _loaded(plugin: PluginPath, resolved: bool, registry: Registry, allowed: bool, problems: Problems) -> Plugin | None:
    try:
        refusal = _refusal(plugin, resolved, allowed)
        if refusal is not None:
            problems.add(plugin.source, refusal)
            return None
        loaded = registry.add_path(plugin.path)
    except DataError as error:
        problems.add(plugin.source, str(error), DataError)
        return None
    for broken in registry.broken:
        if broken.plugin == loaded:
            problems.add(plugin.source, str(broken), PluginError)
    return loaded


def _refusal(plugin: PluginPath, resolved: bool, allowed: bool) -> str | None:
    """Why the code of a plugin may not run; None where it may."""
    if not (plugin.below or allowed):
        right = "move it there, or allow it with --allow-plugins"
        return f"{plugin.path} lies outside the folder of its YAML; {right}"
    if resolved and not plugin.sha256:
        return f"{plugin.path} has no sha256 in {RESOLVED}; pass the original YAML instead of the run folder"
    if plugin.sha256 is not None and (sha256 := sha256_of(plugin.path)) != plugin.sha256:
        found = f"its SHA-256 is {sha256}, and the recipe names {plugin.sha256}"
        return f"{plugin.path} is not what it was: {found}"
    return None
