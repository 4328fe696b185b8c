"""How long composing 10,000 inputs by 1,000 labels takes, on a balanced binary tree and on a chain.

    python benchmarks/compose.py --output docs/results/compose.json

The baseline writes the result once, from one column to all, which no law could avoid.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from outcome import publish

from hiercls.values.certificates import NodeCertificates, Scope
from hiercls.values.compose import compose
from hiercls.values.heads import UNREACHED
from hiercls.values.labels import LabelTree, Node, grow
from hiercls.words.norms import L2
from hiercls.words.threats import Domain

SCOPE = Scope(L2, "image", Domain())


def main() -> None:
    """Publish the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, help="a JSON file for the outcome")
    options = parser.parse_args()
    baseline = median(lambda: memory_pass(options.inputs, options.labels), options.repeats)
    figures = {
        "inputs": options.inputs,
        "labels": options.labels,
        "repeats": options.repeats,
        "threads": torch.get_num_threads(),
        "median seconds": {
            "one pass over the result": round(baseline, 4),
            "balanced": measure(options, lambda size: size // 2, baseline),
            "chain": measure(options, lambda size: 1, baseline),
        },
    }
    command = f"python benchmarks/compose.py --inputs {options.inputs} --labels {options.labels}"
    publish(f"{command} --repeats {options.repeats}", figures, options.output)


def measure(options: argparse.Namespace, first: Callable[[int], int], baseline: float) -> dict[str, float]:
    """The medians of one shape of tree."""
    tree = tree_of(options.labels, first)
    nodes = walk(tree, options.inputs)
    composed = median(lambda: compose(tree, nodes), options.repeats)
    return {
        "growing the tree": round(median(lambda: tree_of(options.labels, first), options.repeats), 4),
        "constructing the rows": round(median(lambda: [again(rows) for rows in nodes.values()], options.repeats), 4),
        "compose": round(composed, 4),
        "compose, in passes over the result": round(composed / baseline, 1),
    }


def median(work: Callable[[], object], repeats: int) -> float:
    """The median seconds of a piece of work."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def memory_pass(inputs: int, labels: int) -> torch.Tensor:
    """Write (labels, inputs) float64 once."""
    return torch.empty(labels, inputs, dtype=torch.float64).copy_(torch.rand(inputs, dtype=torch.float64))


def tree_of(labels: int, first: Callable[[int], int]) -> LabelTree:
    """The binary tree whose first child takes `first(size)` of a node's labels."""
    children: dict[Node, list[Node]] = {}
    waiting = [range(labels)]
    while waiting:
        part = waiting.pop()
        cut = first(len(part))
        parts = [part[:cut], part[cut:]]
        children[frozenset(part)] = [frozenset(each) for each in parts]
        waiting += [each for each in parts if len(each) > 1]
    tree = grow([f"label {k}" for k in range(labels)], children)
    assert len(tuple(tree)) == 2 * labels - 1
    return tree


def walk(tree: LabelTree, inputs: int) -> dict[Node, NodeCertificates]:
    """Random decisions and radii along one path an input; every label is answered equally often."""
    generator = torch.Generator().manual_seed(0)
    reached = {tree.root: torch.ones(inputs, dtype=torch.bool)}
    nodes = {}
    for node in tree.decisions:
        children = tree.children(node)
        chosen = (torch.rand(inputs, generator=generator) * len(node) >= len(children[0])).long()
        chosen = torch.where(reached.pop(node), chosen, UNREACHED)
        radii = torch.rand(inputs, len(children), generator=generator, dtype=torch.float64)
        nodes[node] = rows(children, chosen, radii)
        reached |= {child: chosen == k for k, child in enumerate(children) if len(child) > 1}
    return nodes


def rows(children: tuple[Node, ...], chosen: torch.Tensor, radii: torch.Tensor) -> NodeCertificates:
    """Certificates of a binary node with these radii for the child that was not chosen."""
    places = torch.arange(len(children))
    radii = torch.where((chosen[:, None] >= 0) & (chosen[:, None] != places), radii, 0.0)
    return NodeCertificates(children, chosen, radii.sum(dim=1), radii, 0.001, SCOPE)


def again(known: NodeCertificates) -> NodeCertificates:
    """The same certificates, checked once more."""
    return NodeCertificates(known.children, known.chosen, known.own, known.radii, known.alpha, known.scope)


if __name__ == "__main__":
    main()
