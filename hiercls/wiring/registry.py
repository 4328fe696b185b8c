"""What the installed plugins bring, known without importing any of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from hiercls.contracts import hookspecs
from hiercls.contracts.hookspecs import NAMESPACE, Spec
from hiercls.wiring.path_plugins import import_path, sha256_of
from hiercls.words.errors import ConfigurationError, PluginError

if TYPE_CHECKING:
    from hiercls.contracts.components import Component


@dataclass(frozen=True)
class Plugin:
    """Where a plugin comes from.

    Attributes:
        name: the entry point, or the path as it was given.
        distribution: the installed distribution with its version, or `path` for a file of the user's own.
        path, sha256: the file or folder and the hash of its content; None for installed plugins.
    """

    name: str
    distribution: str
    path: Path | None = None
    sha256: str | None = None

    def __str__(self) -> str:
        return f"plugin {self.name!r} of {self.distribution}" if self.path is None else f"plugin {self.name}"


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be used, and why."""

    plugin: Plugin
    error: str

    @property
    def name(self) -> str:
        return self.plugin.name

    @property
    def distribution(self) -> str:
        return self.plugin.distribution

    def __str__(self) -> str:
        return f"{self.plugin} is broken: {self.error}"


class Registry:
    """The components and commands of all plugins. A broken plugin is remembered and stops nothing."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(NAMESPACE)
        self._manager.add_hookspecs(hookspecs)
        self._plugins: list[Plugin] = []
        self._broken: list[Broken] = []

    @classmethod
    def load(cls, paths: Sequence[Path] = ()) -> "Registry":
        """Collect the plugins of the entry-point group `hiercls`, and those at `paths`."""
        registry = cls()
        for entry in metadata.entry_points(group=NAMESPACE):
            registry._register(_plugin_of(entry), entry.load)
        for path in paths:
            registry.add_path(path)
        return registry

    def add_path(self, path: Path) -> Plugin:
        """Collect the plugin of a Python file or package folder; one that is here already is not read twice.

        Raises:
            DataError: there is nothing to read.
        """
        plugin = Plugin(str(path), "path", path.resolve(), sha256_of(path))
        known = [other for other in self._plugins if (other.path, other.sha256) == (plugin.path, plugin.sha256)]
        if known:
            return known[0]
        self._register(plugin, lambda: import_path(path))
        self.__dict__.pop("_found", None)
        return plugin

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """All plugins that were found, broken ones too."""
        return tuple(self._plugins)

    @property
    def broken(self) -> tuple[Broken, ...]:
        self._found  # noqa: B018 the broken ones are known when all were asked for their components
        return tuple(self._broken)

    def specs(self, kind: str | None = None) -> tuple[Spec, ...]:
        """What can be named in a YAML, by kind and name."""
        found = {spec for spec, _ in self._found if kind in (None, spec.kind)}
        return tuple(sorted(found, key=lambda spec: (spec.kind, spec.name)))

    def plugin_of(self, spec: Spec) -> Plugin:
        return next(plugin for found, plugin in self._found if found == spec)

    def get(self, kind: str, name: str) -> "type[Component]":
        """The class of a component; its module is imported now, and not before.

        Raises:
            ConfigurationError: no plugin brings it.
            PluginError: two plugins bring it, its module cannot be imported, or a broken plugin might bring it.
        """
        found = [(spec, plugin) for spec, plugin in self._found if (spec.kind, spec.name) == (kind, name)]
        if not found:
            raise self._unknown(kind, name)
        if len(found) > 1:
            owners = " and ".join(str(plugin) for _, plugin in found)
            raise PluginError(f"{kind} {name!r} is brought by {owners}; remove one of them")
        return _imported(*found[0])

    def commands(self, app: Any) -> None:
        """Let every plugin add its commands to the click group `app`."""
        for plugin, hook in self._hooks("hiercls_commands"):
            self._guarded(plugin, lambda hook=hook: hook(app))  # type: ignore[misc]

    @cached_property
    def _found(self) -> tuple[tuple[Spec, Plugin], ...]:
        found = []
        for plugin, hook in self._hooks("hiercls_components"):
            specs = self._guarded(plugin, lambda hook=hook: _checked(hook()))  # type: ignore[misc]
            found += [(spec, plugin) for spec in specs or ()]
        return tuple(found)

    def _hooks(self, name: str) -> Iterator[tuple[Plugin, Callable[..., Any]]]:
        """The implementations of a hook, each with its plugin, so that one failure is not everybody's."""
        by_key = {_key(plugin): plugin for plugin in self._plugins}
        for found in reversed(getattr(self._manager.hook, name).get_hookimpls()):
            yield by_key[found.plugin_name], found.function

    def _register(self, plugin: Plugin, load: Callable[[], Any]) -> None:
        self._plugins.append(plugin)
        self._guarded(plugin, lambda: self._manager_register(plugin, load()))

    def _manager_register(self, plugin: Plugin, module: Any) -> None:
        self._manager.register(module, _key(plugin))
        if not self._manager.get_hookcallers(module):
            raise PluginError("it implements no hook of hiercls; decorate hiercls_components with hookimpl")

    def _guarded(self, plugin: Plugin, action: Callable[[], Any]) -> Any:
        """The result of a stranger's code, or None after remembering how it failed."""
        try:
            return action()
        except (Exception, SystemExit) as error:  # noqa: BLE001 a stranger's module may fail in any way
            self._broken.append(Broken(plugin, described(error)))
            return None

    def _unknown(self, kind: str, name: str) -> ConfigurationError | PluginError:
        names = [spec.name for spec in self.specs(kind)]
        typo = get_close_matches(name, names, n=1, cutoff=0.8)
        if self.broken and not typo:
            broken = "; ".join(map(str, self.broken))
            return PluginError(f"{kind} {name!r} is unknown, and a plugin that may bring it is broken: {broken}")
        kinds = sorted({spec.kind for spec in self.specs() if spec.name == name})
        return ConfigurationError(f"unknown {kind} {name!r}; {_would_be_right(name, names, kinds, kind)}")


def described(error: BaseException) -> str:
    """An error as one line: its type and message."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _would_be_right(name: str, names: Sequence[str], kinds: Sequence[str], kind: str) -> str:
    if kinds:
        return f"{name!r} is {' and '.join(map(_one, kinds))}"
    if close := get_close_matches(name, names, n=1):
        return f"did you mean {close[0]!r}?"
    return f"known are {', '.join(names)}" if names else f"no plugin brings {_one(kind)}"


def _one(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _plugin_of(entry: metadata.EntryPoint) -> Plugin:
    owner = entry.dist
    return Plugin(entry.name, f"{owner.name} {owner.version}" if owner else "an unknown distribution")


def _key(plugin: Plugin) -> str:
    return f"{plugin.distribution}:{plugin.name}:{plugin.sha256 or ''}"


def _checked(specs: Any) -> tuple[Spec, ...]:
    from hiercls.contracts.components import KINDS

    found = tuple(specs)
    for spec in found:
        if not isinstance(spec, Spec):
            raise PluginError(f"hiercls_components yields {spec!r}; it must yield Spec values")
        if spec.kind not in KINDS:
            raise PluginError(f"{spec.name!r} is of the unknown kind {spec.kind!r}; kinds are {', '.join(KINDS)}")
        if spec.target.count(":") != 1:
            raise PluginError(f"{spec.name!r} has the target {spec.target!r}; write package.module:Class")
    return found


def _imported(spec: Spec, plugin: Plugin) -> "type[Component]":
    from hiercls.contracts.components import KINDS

    module, _, name = spec.target.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 a stranger's module may fail in any way
        raise PluginError(f"{spec.kind} {spec.name!r} of {plugin} cannot be imported: {described(error)}") from error
    if not (isinstance(found, type) and issubclass(found, KINDS[spec.kind])):
        raise PluginError(f"{spec.kind} {spec.name!r} of {plugin}: {spec.target} is no {KINDS[spec.kind].__name__}")
    return found
