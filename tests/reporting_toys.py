"""Findings of random certificates, what their raw radii say edge by edge, and a page that is read back."""

from html.parser import HTMLParser

import torch

from hiercls.values.certificates import NodeCertificates, Scope
from hiercls.values.compose import compose
from hiercls.values.heads import ABSTAIN, UNREACHED
from hiercls.values.labels import flat_tree, grow
from hiercls.verbs.reporting.findings import Findings, NodeFact, System
from hiercls.words.norms import LINF
from hiercls.words.threats import Domain, Threat

SCOPE = Scope(LINF, "image", Domain())
LABELS = ("cat", "dog", "ship", "truck", "<b>&amp;")
BUDGETS = (0.125, 0.5)


def node(*labels):
    return frozenset(labels)


def uneven_tree():
    """root -> {pets -> {cat, dog}, rest -> {vehicles -> {ship, truck}, <b>&amp;}}."""
    children = {
        node(0, 1, 2, 3, 4): [node(0, 1), node(2, 3, 4)],
        node(0, 1): [node(0), node(1)],
        node(2, 3, 4): [node(2, 3), node(4)],
        node(2, 3): [node(2), node(3)],
    }
    return grow(LABELS, children, {node(0, 1): "pets", node(2, 3): "vehicles"})


def certify(tree, count, seed, alpha=0.0):
    """Random rows on a tree: decisions, abstentions, zeros, infinities; radii are multiples of 1/16."""
    generator = torch.Generator().manual_seed(seed)
    reached = {tree.root: torch.ones(count, dtype=torch.bool)}
    rows = {}
    for here in tree.decisions:
        children = tree.children(here)
        chosen = torch.randint(0, len(children), (count,), generator=generator)
        chosen[torch.rand(count, generator=generator) < 0.15] = ABSTAIN
        chosen = torch.where(reached[here], chosen, UNREACHED)
        radii = torch.randint(0, 12, (count, len(children)), generator=generator).double() / 16
        radii[torch.rand(radii.shape, generator=generator) < 0.1] = torch.inf
        radii[chosen < 0] = 0
        own = torch.zeros(count, dtype=torch.float64)
        for i in range(count):
            if chosen[i] >= 0:
                radii[i, chosen[i]] = 0
                own[i] = min(radii[i, k] for k in range(len(children)) if k != chosen[i])
        rows[here] = NodeCertificates(children, chosen, own, radii, alpha, SCOPE)
        for k, child in enumerate(children):
            reached[child] = chosen == k
    return compose(tree, rows)


def findings(count=60, budgets=BUDGETS, alpha=0.0, **more):
    truth = torch.randint(0, len(LABELS), (count,), generator=torch.Generator().manual_seed(3))
    systems = (
        System("tree", certify(uneven_tree(), count, 1, alpha), truth, (FACT,)),
        System("flat", certify(flat_tree(LABELS), count, 2, alpha), truth),
    )
    given = {"recipe": "name: tiny\n", "environment": {"seed": "0"}, "threat": Threat(LINF, budgets)} | more
    return Findings("tiny", "hiercls run tiny.yaml", systems=systems, **given)


FACT = NodeFact("root", "root", 0, "retrained mlp", None, "lidar", False, 1234, 0.5)
AUDIT = {"inputs audited": 100, "breaks": 1, "allowed": 2, "broken": "none", "power": 0.99, "seconds": 12.5}


def rich_findings(**more):
    given = {"audit": AUDIT, "metrics": {"tree": {"error": 0.125}}, "evaluation": {"accuracy": 0.875}}
    given |= {"warnings": ("mind the <gap>",), "affinity": {"low": node(0, 1, 2)}, "alpha": 0.001}
    return findings(**(given | more))


def exposed(radii, counts):
    """Findings with a flat system in which label l, other than the truth t, is excluded up to radii[t][l]."""
    truth = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    tree = flat_tree(LABELS[: len(counts)])
    rows = torch.tensor(radii, dtype=torch.float64)[truth]
    order = [next(iter(child)) for child in tree.children(tree.root)]
    chosen = torch.tensor([order.index(label) for label in truth.tolist()])
    rows = rows[:, order]
    others = rows.clone()
    others[torch.arange(len(truth)), chosen] = torch.inf
    certificates = NodeCertificates(tree.children(tree.root), chosen, others.min(dim=1).values, rows, 0.0, SCOPE)
    system = System("flat", compose(tree, {tree.root: certificates}), truth)
    return Findings("ties", "", "", {}, Threat(LINF, (0.5,)), (system,))


def walk(system, i):
    """The path of one input, straight from the rows: [(node, own radius)], and the answered label set."""
    here, steps = system.tree.root, []
    while system.tree.children(here):
        rows = system.certificates.nodes[here]
        steps.append((here, float(rows.own[i])))
        if rows.chosen[i] < 0:
            break
        here = system.tree.children(here)[rows.chosen[i]]
    return steps, here


def label_radius(system, i, label):
    """R(label | x) from the rows, edge by edge."""
    best, path = 0.0, system.tree.path(node(label))
    for above, child in zip(path, path[1:], strict=False):
        rows = system.certificates.nodes[above]
        best = max(best, float(rows.radii[i, system.tree.children(above).index(child)]))
    return best


def possible(system, i, budget):
    if budget == 0:
        return set(walk(system, i)[1])
    radii = {label: label_radius(system, i, label) for label in range(5)}
    return {label for label, radius in radii.items() if radius == 0 or radius < budget}


def values(table):
    return [[cell.value for cell in row] for row in table.rows]


class Page(HTMLParser):
    """Checks that elements are closed in order, and keeps words and attributes."""

    EMPTY = {"meta", "br", "hr", "img", "link", "input"}

    def __init__(self, text):
        super().__init__()
        self.open, self.names, self.attributes, self.words = [], set(), [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
