"""One recipe from several files: `extends`, and values set from the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hiercls.wiring.merging import layered
from hiercls.wiring.problems import Problems
from hiercls.wiring.yaml_source import Located, Mark, parse_yaml, read_yaml
from hiercls.words.errors import ConfigurationError, DataError

RESOLVED = "recipe.resolved.yaml"
"""The name under which a run folder keeps its resolved recipe."""


@dataclass(frozen=True)
class PluginPath:
    """A plugin that some layer names.

    Attributes:
        source: the entry, for its position.
        path: the file or folder, from the folder of the YAML that names it.
        folder: that folder.
        sha256: the hash that its content must have; None asks for none.
    """

    source: Located
    path: Path
    folder: Path
    sha256: str | None

    @property
    def below(self) -> bool:
        """Whether the plugin lies below the folder of its YAML, links followed."""
        return self.path.resolve().is_relative_to(self.folder.resolve())


@dataclass(frozen=True)
class Layers:
    """The merged document, and the plugins of all its layers.

    Attributes:
        resolved: whether it is the recipe that a run folder keeps, which names the hash of every plugin.
    """

    document: Located
    plugins: tuple[PluginPath, ...]
    resolved: bool = False


def read_layers(path: Path, overrides: Sequence[str], problems: Problems) -> Layers:
    """Read a YAML on top of those it extends, then set `key.path=value` on top of all.

    Raises:
        DataError: a file cannot be read.
        ConfigurationError: a file is not YAML, extends itself, or an override is no assignment.
    """
    document, plugins = _read(path, (), problems)
    for text in overrides:
        document = layered(document, _assignment(text, problems), keep_name=True)
    return Layers(document, plugins, path.name == RESOLVED)


def _read(path: Path, above: tuple[Path, ...], problems: Problems) -> tuple[Located, tuple[PluginPath, ...]]:
    document = read_yaml(path, problems)
    lower: Located | None = None
    plugins: tuple[PluginPath, ...] = ()
    for source in _listed(document.get("extends")):
        below = path.parent / source.text
        if below.resolve() in (resolved := [*(other.resolve() for other in above), path.resolve()]):
            cycle = " -> ".join(str(other) for other in [*above, path, below][resolved.index(below.resolve()) :])
            raise ConfigurationError(f"{source.mark} extends: the files extend one another: {cycle}")
        try:
            base, found = _read(below, (*above, path), problems)
        except DataError as error:
            raise DataError(f"{source.mark} extends: {error}") from error
        lower = base if lower is None else layered(lower, base)
        plugins += found
    plugins += tuple(_plugin(source, path.parent, problems) for source in _listed(document.get("plugins")))
    return (document.without("extends") if lower is None else layered(lower, document.without("extends"))), plugins


def _listed(source: Located | None) -> tuple[Located, ...]:
    if source is None or source.empty:
        return ()
    return source.value if isinstance(source.value, tuple) else (source,)


def _plugin(source: Located, folder: Path, problems: Problems) -> PluginPath:
    path = source.get("path") or source
    sha256 = source.get("sha256")
    if not isinstance(path.value, str) or set(source.items) - {"path", "sha256"}:
        problems.add(
            source, f"found {source.plain()!r}; write the path of a Python file, or `{{path: ..., sha256: ...}}`"
        )
    return PluginPath(source, folder / path.text, folder, sha256.text if sha256 else None)


def _assignment(text: str, problems: Problems) -> Located:
    key, equals, value = text.partition("=")
    names = tuple(key.strip().split("."))
    if not equals or not all(names):
        raise ConfigurationError(f"--set {text}: found no assignment; write key.path=value, such as certify.inputs=100")
    mark = Mark(f"--set {text}")
    found = parse_yaml(value or "null", mark.file, problems, names)
    for k in reversed(range(len(names))):
        found = Located({names[k]: _keyed(found, mark)}, mark, names[:k])
    return found


def _keyed(source: Located, mark: Mark) -> Located:
    return Located(source.value, source.mark, source.path, mark, source.text)
