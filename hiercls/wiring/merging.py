"""How one part of a YAML amends another: key by key, and a component's options only under the same name."""

from collections.abc import Mapping
from dataclasses import replace

from hiercls.wiring.yaml_source import Located

SLOTS: Mapping[str, str] = {
    "dataset": "dataset",
    "architecture": "architecture",
    "trainer": "trainer",
    "certifier": "certifier",
    "attack": "attack",
    "build": "tree-builder",
}
"""The keys whose value names a component, and its kind."""

_WHOLE = {"groups", "domain", "truncate", "inputs"}
_OF_A_TRAINED = ("architecture", "trainer", "init")
_DROPPED = {"restrict": _OF_A_TRAINED, "compose": _OF_A_TRAINED, "trainer": ("restrict", "compose")}
"""What falls in a lower layer when an upper one says what decides."""


def component_parts(source: Located) -> tuple[str, Located] | None:
    """The name and the options in `name` or `{name: {options}}`; None for anything else."""
    if isinstance(source.value, str):
        return source.value, Located({}, source.mark, (*source.path, source.value))
    if len(source.items) == 1:
        name, options = next(iter(source.items.items()))
        return name, replace(options, value={}) if options.empty else options
    return None


def amend_component(weak: Located | None, strong: Located) -> Located:
    """Options merge key by key under the same name; another name replaces."""
    if weak is not None and isinstance(weak.value, str) and isinstance(strong.value, str):
        return strong
    below, above = None if weak is None else component_parts(weak), component_parts(strong)
    if below is None or above is None or below[0] != above[0]:
        return strong
    options = amend_options(below[1], above[1])
    return replace(strong, value={above[0]: replace(options, key=above[1].key or strong.mark)})


def amend_options(weak: Located, strong: Located) -> Located:
    """Mappings merge key by key, everything else is replaced."""
    if not (isinstance(weak.value, dict) and isinstance(strong.value, dict)):
        return strong
    merged = {key: amend_options(weak[key], item) if key in weak else item for key, item in strong.items.items()}
    return strong.with_items({**weak.items, **merged})


def amend_section(weak: Located | None, strong: Located) -> Located:
    """Amend the entries of a section of the recipe."""
    if weak is None or not (isinstance(weak.value, dict) and isinstance(strong.value, dict)):
        return strong
    merged = {key: _amend_entry(key, weak.get(key), item) for key, item in strong.items.items()}
    return strong.with_items({**weak.items, **merged})


def _amend_entry(key: str, weak: Located | None, strong: Located) -> Located:
    if weak is None or key in _WHOLE:
        return strong
    return amend_component(weak, strong) if key in SLOTS else amend_options(weak, strong)


def decider(entry: Located) -> tuple[str, str] | None:
    """What decides: the network that a node is restricted from, what a network is composed of, or its trainer."""
    if (restrict := entry.get("restrict")) and not restrict.empty:
        return "restrict", restrict.text
    if (compose := entry.get("compose")) and not compose.empty:
        return "compose", compose.text
    if (trainer := entry.get("trainer")) and (parts := component_parts(trainer)):
        return "trainer", parts[0]
    return None


def amend_decision(weak: Located, strong: Located, *dropped: str) -> Located:
    """Amend a network or a node: a certifier falls with the trainer that it was chosen for.

    Args:
        dropped: keys of `weak` that fall too.
    """
    before, after = decider(weak), decider(strong)
    fallen = ("certifier",) if before and after and before != after else ()
    return amend_section(weak.without(*fallen, *dropped), strong)


def layered(lower: Located, upper: Located, keep_name: bool = False) -> Located:
    """One recipe on top of another; `name` is each file's own, unless it is to be kept."""
    lower = lower if keep_name else lower.without("name")
    merged = {key: _layered_entry(key, lower.get(key), item) for key, item in upper.items.items()}
    return upper.with_items({**lower.items, **merged})


def _layered_entry(key: str, lower: Located | None, upper: Located) -> Located:
    if lower is None or not (isinstance(lower.value, dict) and isinstance(upper.value, dict)):
        return upper
    if key in ("networks", "nodes"):
        found = {name: _layered_decision(lower.get(name), item) for name, item in upper.items.items()}
        return upper.with_items({**lower.items, **found})
    if key == "tree" and ("groups" in upper or "build" in upper):
        lower = lower.without("groups" if "build" in upper else "build")
    return amend_section(lower, upper)


def _layered_decision(lower: Located | None, upper: Located) -> Located:
    if lower is None:
        return upper
    kind, _ = decider(upper) or ("", "")
    dropped = _DROPPED.get(kind, ())
    return amend_decision(lower, upper, *dropped)
