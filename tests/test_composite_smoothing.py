"""A whole hierarchy smoothed as one network: its counts, its radius beside those of its path, and bounds refuse it."""

import pytest
import torch
from composite_toys import HALVES, LABELS, TREE, system
from scipy.stats import norm
from torch import nn

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.values.heads import restricted
from hiercls.values.labels import flat_tree
from hiercls.values.views import Inputs
from hiercls.whole.composite import Composite
from hiercls.words.errors import HierclsError
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE, Threat
from hiercls_plugins.crown_ibp.certifier import CrownIbpCertifier
from hiercls_plugins.exact_linear.certifier import ExactLinear
from hiercls_plugins.ibp.certifier import IbpCertifier
from hiercls_plugins.smoothing.certifier import Smoothing


def smoothed(network, head, **options):
    settings = {"sigma": 0.5, "draws": 2000, "tile": 500} | options
    return Smoothing(**settings).deploy(network.eval(), (head,), "image", Context(threat=Threat(L2, domain=EVERYWHERE)))


def row(prover, x, chosen):
    head = prover.heads[0]
    claim = Claim(Inputs(torch.tensor([3]), {"image": x}), {head: chosen})
    return next(iter(prover.prove([claim]))).rows[head]


def convolutions(outputs, seed=0):
    """A small network with a batch norm that smoothing folds."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, outputs))
    network[1].running_mean.normal_()
    network[1].running_var.uniform_(0.5, 2)
    return network


def test_a_tree_that_is_restricted_from_one_network_counts_exactly_what_the_network_counts():
    """The best group holds the best label, and the best label is the best of its group."""
    flat = restricted(flat_tree(TREE.labels).children(TREE.root))
    network = convolutions(LABELS)
    composite = smoothed(Composite(system(TREE), {"flat": network}), flat)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in composite.votes.passes.network.modules())
    x = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(5))
    seen = set()
    for chosen in range(LABELS):
        alone, found = row(smoothed(network, flat), x, chosen), row(composite, x, chosen)
        assert (found.own, found.radii, found.evidence) == (alone.own, alone.radii, alone.evidence)
        seen.add(found.own > 0)
    assert seen == {True, False}


def half_spaces(slope, place):
    """Two outputs: the first is larger where slope . x <= place."""
    linear = nn.Linear(2, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[-s for s in slope], slope]))
        linear.bias.copy_(torch.tensor([place, -place]))
    return linear


@pytest.mark.parametrize(
    ("turn", "root", "leaf", "exact"),
    [
        ((0.0, 1.0), 0.4, 0.6, lambda a, b: a * b),
        ((1.0, 0.0), 0.4, 0.7, lambda a, b: min(a, b)),
        ((-1.0, 0.0), 0.6, 0.5, lambda a, b: a + b - 1),
    ],
    ids=["across", "nested", "against"],
)
def test_the_composite_is_certified_at_most_as_far_as_the_weakest_node_of_the_path(turn, root, leaf, exact):
    """The walk ends at a label only if every node on the path decides for it: P(walk) <= min P(node).

    Half spaces x_1 <= root at the root, and turn . x <= leaf below: of a Gaussian around 0 both hold with a known
    probability. Cohen's radius sigma Phi^-1(p) rises with p, so that of the walk is at most the least of the path.
    """
    sigma, draws = 0.5, 40_000
    nodes = [norm.cdf(root / sigma), norm.cdf(leaf / sigma)]
    truth = exact(*nodes)
    networks = {
        "root": half_spaces((1.0, 0.0), root),
        "[in, edge]": half_spaces(turn, leaf),
        "[far, farther]": half_spaces((1.0, 1.0), 0.0),
    }
    head = restricted(flat_tree(HALVES.labels).children(HALVES.root))
    prover = smoothed(Composite(system(HALVES, HALVES.decisions), networks), head, sigma=sigma, draws=draws)
    found = row(prover, torch.zeros(1, 2), 0)
    counted = found.evidence["counts"][0]
    assert abs(counted - draws * truth) < 5 * (draws * truth * (1 - truth)) ** 0.5
    ideal, path = sigma * norm.ppf(truth), min(sigma * norm.ppf(p) for p in nodes)
    assert 0 < found.own <= ideal <= path + 1e-12
    assert found.own > 0.85 * ideal
    assert path == pytest.approx(min(root, leaf))


def test_a_draw_with_a_number_that_is_not_finite_counts_for_no_label():
    class Broken(nn.Module):
        def forward(self, x):
            return torch.stack([x[:, 0] * 0 + 1, torch.where(x[:, 0] > 0, torch.nan, 0.0)], dim=1)

    tree = flat_tree(("a", "b"))
    head = restricted(tree.children(tree.root))
    found = row(smoothed(Composite(system(tree, (tree.root,)), {"root": Broken()}), head), torch.zeros(1, 2), 0)
    assert found.own == 0
    assert 800 < found.evidence["counts"][0] < 1200
    assert found.evidence["counts"][1] == 0


@pytest.mark.parametrize(
    "certifier", [IbpCertifier(), CrownIbpCertifier(), ExactLinear()], ids=["ibp", "crown-ibp", "exact-linear"]
)
def test_bounds_refuse_the_walk_and_name_the_operation(certifier):
    head = restricted(flat_tree(TREE.labels).children(TREE.root))
    composite = Composite(system(TREE), {"flat": nn.Sequential(nn.Flatten(), nn.Linear(4, LABELS))}).eval()
    assert not certifier.any_function
    with pytest.raises(HierclsError, match="no rule for .*; it cannot be bounded"):
        certifier.deploy(composite, (head,), "image", Context())
