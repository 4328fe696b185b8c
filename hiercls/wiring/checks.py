"""How the parts of a recipe fit together: names, views, needs, refusals."""

from collections.abc import Mapping
from typing import Any

from hiercls.contracts.components import Dataset, misfit
from hiercls.wiring.building import FAILED, Builder
from hiercls.wiring.composing import tell_circle, tell_weightless
from hiercls.wiring.nodes import named, overtrained, refused, viewed
from hiercls.wiring.problems import Problems, suggestion
from hiercls.wiring.specs import ComposedSpec, NetworkSpec, TreeSpec
from hiercls.wiring.yaml_source import Located, located
from hiercls.words.norms import LINF
from hiercls.words.threats import Threat


def check_dataset(dataset: Dataset, document: Located, values: Mapping[str, Any], problems: Problems) -> None:
    """The views and masks that are named exist in the dataset."""
    threat = values.get("threat", Threat())
    views = tuple(dataset.views())
    touchable = (*views, *dataset.masks())
    if threat is not FAILED and threat.view not in touchable:
        source = document.at(("threat", "view"))
        place = Located(threat.view, source.mark, ("threat", "view"))
        viewed(place, touchable, problems)
    for network in document["networks"].items.values() if "networks" in document else ():
        viewed(network.get("view"), views, problems)
    allowed = document["data"].get("allowed")
    if allowed is not None and isinstance(allowed.value, str) and allowed.value not in dataset.masks():
        right = suggestion(allowed.value, dataset.masks(), "such views")
        problems.add(allowed, f"no view {allowed.value!r} of the dataset restricts labels; {right}")


def check_budgets(document: Located, threat: Any, problems: Problems) -> None:
    """No l_inf budget is as large as the domain: it is written in other units."""
    if threat is FAILED or threat.norm != LINF or "threat" not in document:
        return
    written = document["threat"].get("budgets")
    for source in () if written is None else _items(written):
        if isinstance(source.value, int | float) and (why := threat.domain.excess(source.value)):
            problems.add(source, f"found {source.value:g}; {why}")


def check_networks(networks: Mapping[str, Located], problems: Problems) -> None:
    """Every `init` names a network, and no network starts from itself."""
    starts = {name: entry["init"].value for name, entry in networks.items() if "init" in entry}
    for name in starts:
        named(networks[name]["init"], networks, problems)
        tell_weightless(networks[name]["init"], networks, problems)
    told: set[str] = set()
    for name in starts:
        chain = [name]
        while (start := starts.get(chain[-1])) is not None and start not in chain:
            chain.append(start)
        if start == name and name not in told:
            told.update(chain)
            cycle = " -> ".join([*chain, name])
            problems.add(networks[name]["init"], f"the networks start from one another: {cycle}")


def check_baseline(baseline: Located | None, networks: Mapping[str, Located], problems: Problems) -> None:
    """Every baseline is a network, named once."""
    if baseline is None:
        return
    sources = baseline.value if isinstance(baseline.value, tuple) else (baseline,)
    for k, source in enumerate(sources):
        named(source, networks, problems)
        if source.value in [other.value for other in sources[:k]]:
            problems.add(source, f"baseline {source.value!r} stands twice; keep one of the two")


def check_tree_needs(tree: Any, document: Located, networks: Mapping[str, Located], problems: Problems) -> None:
    """The networks from which a tree is derived are named."""
    if not isinstance(tree, TreeSpec) or tree.build is None:
        return
    build = document["tree"]["build"]
    for need in tree.build.needs():
        if need not in networks:
            right = suggestion(need, networks, "named")
            problems.add(build, f"it needs a network {need!r}, and none has this name; {right}")
        tell_circle(located(need, build.mark, build.path), "tree", networks, problems)


def check_tree_threat(tree: Any, document: Located, threat: Any, builder: Builder) -> None:
    """The builder of a derived tree can serve the threat."""
    if threat is FAILED or not isinstance(tree, TreeSpec) or tree.build is None:
        return
    if why := tree.build.refusal(threat):
        builder.problems.add(document["tree"]["build"], f"{builder.names[type(tree.build)]!r} {why}")


def check_trainers(document: Located, networks: Any, labels: int, builder: Builder) -> None:
    """The trainers of named networks can fit networks with one output a label."""
    parts = tuple(frozenset((label,)) for label in range(labels))
    for name, spec in networks.items() if isinstance(networks, dict) else ():
        if isinstance(spec, NetworkSpec) and (why := misfit(spec.trainer, parts, labels)):
            place = document["networks"][name]["trainer"]
            builder.problems.add(place, f"{builder.names[type(spec.trainer)]!r} {why}")


def check_refusals(document: Located, values: Mapping[str, Any], builder: Builder) -> None:
    """The certifiers of baselines, and those written for a network, can serve the threat; no budget is too large."""
    threat = values.get("threat", Threat())
    networks = values["networks"]
    if threat is FAILED or not isinstance(networks, dict):
        return
    baseline = document.get("baseline")
    baselines = [] if baseline is None else [item.value for item in _items(baseline)]
    for name, spec in networks.items():
        if isinstance(spec, ComposedSpec | NetworkSpec) and (name in baselines or _written(document["networks"][name])):
            refused(spec.certifier, spec.view, document["networks"][name], threat, builder)
        if isinstance(spec, NetworkSpec):
            overtrained(spec.trainer, spec.certifier, document["networks"][name], threat, builder)


def _written(network: Located) -> bool:
    """Whether the YAML itself names the certifier; a suggested one has no key of its own."""
    certifier = network.get("certifier")
    return certifier is not None and certifier.key is not None


def _items(source: Located) -> tuple[Located, ...]:
    return source.value if isinstance(source.value, tuple) else (source,)
