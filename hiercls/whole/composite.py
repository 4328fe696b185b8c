"""A tree's walk as one network: what is smoothed when a whole hierarchy is one base classifier."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hiercls.values.heads import Head
from hiercls.whole.plan import System

REVISION = 1
"""Rises when the scores change, so that stored results are redone."""

FAR = 1e4
"""No path scores below minus this: the log of no probability."""

MARGIN = 0.01
"""How far the walk's label stands above all others at least: more than float32 rounds away at FAR."""


class Composite(nn.Module):
    """The label to which the nodes of a tree walk an input, as a network with one output a label.

    Every network runs once for all nodes that it serves, on every input. A label scores the log-probability of its
    path, by the softmax of each node's children (a child of several outputs scores their logsumexp). Where that does
    not already name the label to which the walk leads, that label is lifted MARGIN above all others by a constant
    without a gradient. So the argmax is the walk, with its ties, and the scores are what an attack can climb. Where
    an output that decides on the walk is not finite, all scores are NaN; other nodes then count as undecided.
    """

    def __init__(self, system: System, networks: Mapping[str, nn.Module]):
        """Compose the walk.

        Args:
            networks: those of the system, by name.
        """
        super().__init__()
        tree, nodes = system.tree, system.nodes
        self.networks = nn.ModuleList(networks[name] for name in system.networks)
        self.forks = nn.ModuleList(_Fork(nodes[node].head) for node in tree.decisions)
        self.ways = [(node, tree.children(node), system.networks.index(nodes[node].job)) for node in tree.decisions]
        self.root = tree.root
        self.leaves = [tree.leaf(label) for label in range(len(tree.labels))]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, *shape) to (N, labels) float32."""
        outputs = [network(x) for network in self.networks]
        every = torch.ones_like(outputs[0][:, 0], dtype=torch.bool)
        lost, walked, odds = ~every, {self.root: every}, {self.root: torch.zeros_like(every, dtype=torch.float32)}
        for (node, children, network), fork in zip(self.ways, self.forks, strict=True):
            chosen, finite, among = fork(outputs[network])
            lost = lost | (walked[node] & ~finite)
            for k, child in enumerate(children):
                walked[child] = walked[node] & (chosen == k)
                odds[child] = odds[node] + among[:, k]
        scores = torch.stack([odds[leaf] for leaf in self.leaves], dim=1).clamp_min(-FAR)
        walk = torch.stack([walked[leaf] for leaf in self.leaves], dim=1)
        return torch.where(lost[:, None], torch.nan, scores + _lift(scores, walk))


def _lift(scores: torch.Tensor, walk: torch.Tensor) -> torch.Tensor:
    """What the walk's label lacks to be first, 0 for all others."""
    others = scores.masked_fill(walk, -torch.inf).amax(dim=1, keepdim=True)
    return torch.where(walk, (others + MARGIN - scores).clamp_min(0.0), 0.0).detach()


class _Fork(nn.Module):
    """One node's decision, by its head."""

    allowed: torch.Tensor
    child_of: torch.Tensor

    def __init__(self, head: Head):
        super().__init__()
        self.register_buffer("allowed", torch.tensor(head.allowed))
        self.register_buffer("child_of", torch.tensor(head.child_of))
        self.columns = [[head.allowed.index(output) for output in group] for group in head.outputs]

    def forward(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """From (N, outputs): the chosen child, whether all that decides is finite, the children's log-probabilities.

        A row that is not finite has equal ones; its chosen child means nothing.
        """
        rows = logits[:, self.allowed]
        finite = rows.isfinite().all(dim=1)
        known = torch.where(finite[:, None], rows, 0.0).float()
        children = [known[:, columns].logsumexp(dim=1) for columns in self.columns]
        return self.child_of[rows.argmax(dim=1)], finite, torch.stack(children, dim=1).log_softmax(dim=1)


def composition(system: System, architectures: Mapping[str, Any]) -> dict[str, Any]:
    """What a composite computes besides the weights of its networks, for a key: names are in none.

    Args:
        architectures: the identity of each network's architecture, by the network's name.
    """
    names = system.networks
    heads = [(names.index(system.nodes[node].job), system.nodes[node].head.outputs) for node in system.tree.decisions]
    return {
        "walk": REVISION,
        "tree": system.tree.partition(),
        "networks": [architectures[name] for name in names],
        "nodes": [[network, [list(group) for group in outputs]] for network, outputs in heads],
    }
