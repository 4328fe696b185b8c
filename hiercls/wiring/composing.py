"""Networks that are composed of the tree's nodes: what a YAML may say of them, and who cannot need them."""

from collections.abc import Mapping
from typing import Any

from hiercls.values.labels import LabelTree, Node
from hiercls.wiring.building import Builder
from hiercls.wiring.problems import Problems
from hiercls.wiring.selectors import OF_ITS_OWN, path_name
from hiercls.wiring.specs import ComposedSpec, NodeSpec
from hiercls.wiring.yaml_source import Located

Networks = Mapping[str, Located]


def composes(entry: Located) -> bool:
    return "compose" in entry and not entry["compose"].empty


def only_composed(entry: Located, problems: Problems) -> Located:
    """The entry of a composed network; what it says of a network of its own is told and left out."""
    for key in OF_ITS_OWN:
        if key in entry:
            problems.at_key(entry[key], f"a composed network has no {key} of its own; remove this or `compose`")
    return entry.without(*OF_ITS_OWN)


def tell_circle(source: Located | None, whose: str, networks: Networks, problems: Problems) -> None:
    """Tell a composed network behind something that it is composed of itself.

    Args:
        source: what names the network.
        whose: what would need it: the tree, or a node.
    """
    if (name := _composed(source, networks)) is not None:
        assert source is not None
        circle = f"{whose} -> {name} -> {whose}"
        problems.add(source, f"{name!r} is composed of the tree and its nodes, and these need one another: {circle}")


def tell_weightless(source: Located | None, networks: Networks, problems: Problems) -> None:
    """Tell a composed network from whose weights another one is to start."""
    if (name := _composed(source, networks)) is not None:
        assert source is not None
        problems.add(source, f"{name!r} is composed and has no weights of its own; start from a trained network")


def _composed(source: Located | None, networks: Networks) -> str | None:
    """The name, if it is that of a composed network."""
    if source is None or not isinstance(source.value, str) or source.value not in networks:
        return None
    return source.value if composes(networks[source.value]) else None


def check_composed(document: Located, networks: Any, builder: Builder) -> None:
    """No mask restricts a composed network, and its certifier asks it for nothing but its answers.

    Args:
        networks: the built networks of the recipe, by name.
    """
    masked = "data" in document and document["data"].get("allowed")
    for name, spec in networks.items() if isinstance(networks, dict) else ():
        if not isinstance(spec, ComposedSpec):
            continue
        entry = document["networks"][name]
        if masked and not masked.empty:
            builder.problems.add(
                entry["compose"],
                "data.allowed restricts the labels at every node, and a composed network decides among all of them; "
                "remove one of the two",
            )
        if spec.certifier is not None and not spec.certifier.any_function:
            builder.problems.add(
                entry["certifier"],
                f"{builder.names[type(spec.certifier)]!r} certifies what one network computes, not the walk down a "
                "tree; take a certifier of any function, such as randomised smoothing",
            )


def tell_views(
    networks: Networks, threat_view: str, tree: LabelTree, specs: Mapping[Node, NodeSpec], problems: Problems
) -> None:
    """Tell the nodes that read another view than a network that is composed of them."""
    for entry in networks.values():
        if composes(entry):
            view = entry["view"].text if "view" in entry else threat_view
            for node, spec in specs.items():
                if spec.view != view:
                    problems.add(
                        entry["compose"],
                        f"node {path_name(tree, node)!r} reads {spec.view!r} and this network {view!r}; "
                        "a tree is composed on one view",
                    )
