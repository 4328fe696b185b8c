"""Trees from weight rows, against scikit-learn's clustering and by hand."""

import pytest
import torch
from pydantic import ValidationError
from scipy.cluster.hierarchy import fcluster
from scipy.cluster.hierarchy import linkage as scipy_linkage
from sklearn.cluster import AgglomerativeClustering
from torch import nn

from hiercls.contracts.components import Task
from hiercls.contracts.context import Context
from hiercls.words.errors import ConfigurationError
from hiercls.words.threats import Domain
from hiercls_plugins.agglomerative.components import Agglomerative

NOTHING = Task(torch.zeros(0, 2), torch.zeros(0).long(), torch.zeros(0, 2), torch.zeros(0).long(), (), Domain())
LABELS = tuple("abcdefgh")


def grown(rows, labels=LABELS, **options):
    network = nn.Sequential(nn.Linear(3, rows.shape[1]), nn.ReLU(), nn.Linear(rows.shape[1], len(rows)))
    with torch.no_grad():
        network[-1].weight.copy_(rows)
    return Agglomerative(of="flat", **options).build(labels, {"flat": network}, NOTHING, Context())


def rows(seed=0):
    return torch.randn(8, 5, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("linkage", ["ward", "average", "complete", "single"])
@pytest.mark.parametrize("seed", range(3))
def test_the_merges_are_those_of_agglomerative_clustering(linkage, metric, seed):
    if linkage == "ward" and metric == "cosine":
        return
    found = grown(rows(seed), linkage=linkage, metric=metric).tree
    model = AgglomerativeClustering(
        linkage=linkage, metric={"l2": "euclidean"}.get(metric, metric), compute_full_tree=True
    )
    merged = [frozenset((k,)) for k in range(8)]
    for first, second in model.fit(rows(seed).double().numpy()).children_:
        merged.append(merged[first] | merged[second])
    assert set(found) == set(merged)
    assert all(len(found.children(node)) == 2 for node in found.decisions)


def test_the_nearest_rows_stand_together_and_the_reason_names_the_split():
    points = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 0.1], [5.0, 0.2]])
    found = grown(points, labels=("cat", "car", "dog", "bus"))
    assert found.tree.partition() == [[0, 2], [1, 3]]
    assert "ward linkage of l2 distances" in found.why
    assert "the root splits [cat, dog] | [car, bus]" in found.why


@pytest.mark.parametrize("linkage", ["ward", "average", "complete", "single"])
@pytest.mark.parametrize("arity", [2, 3, 4])
def test_a_node_is_cut_into_as_many_parts_as_the_arity_allows(linkage, arity):
    found = grown(rows(), linkage=linkage, arity=arity).tree
    cut = fcluster(scipy_linkage(rows().double().numpy(), linkage), arity, criterion="maxclust")
    parts = {frozenset((cut == part).nonzero()[0].tolist()) for part in cut}
    assert set(found.children(found.root)) == parts
    assert all(len(found.children(node)) == min(arity, len(node)) for node in found.decisions)
    assert set(found) <= set(grown(rows(), linkage=linkage).tree)


def test_an_arity_of_all_labels_is_the_flat_tree():
    assert grown(rows(), arity=8).tree.partition() == list(range(8))


def test_the_reason_compares_two_sides_only():
    assert "times the merge before it" in grown(rows()).why
    assert "times the merge before it" not in grown(rows(), arity=3).why


def test_an_arity_below_two_is_refused():
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        Agglomerative(of="flat", arity=1)


def test_two_labels_make_one_split():
    assert grown(rows()[:2], labels=("a", "b")).tree.partition() == [0, 1]


def test_it_needs_the_network_that_it_names():
    assert Agglomerative(of="flat").needs() == ("flat",)


def test_ward_linkage_of_cosine_distances_is_refused():
    with pytest.raises(ValidationError, match="ward linkage needs the l2 metric"):
        Agglomerative(of="flat", metric="cosine")


@pytest.mark.parametrize("network", [nn.Flatten(), nn.Linear(4, 3)], ids=["none", "too few"])
def test_a_network_without_one_row_a_label_is_refused(network):
    with pytest.raises(ConfigurationError, match="network 'flat' does not end in a dense layer with one row a label"):
        Agglomerative(of="flat").build(LABELS, {"flat": network}, NOTHING, Context())


def test_a_row_of_zeros_has_no_cosine():
    with pytest.raises(ConfigurationError, match="a weight row is zero"):
        grown(torch.eye(8) * torch.arange(8)[:, None], linkage="average", metric="cosine")


def test_one_label_makes_no_tree():
    with pytest.raises(ConfigurationError, match="at least two labels"):
        grown(rows()[:1], labels=("a",))
