"""Verified errors, counted one input at a time."""

import pytest
import torch

from hiercls.values.certificates import NodeCertificates, Scope, others
from hiercls.values.compose import compose
from hiercls.values.heads import ABSTAIN, UNREACHED
from hiercls.values.labels import flat_tree, grow
from hiercls.words.errors import ConfigurationError, DataError
from hiercls.words.norms import LINF
from hiercls.words.threats import Domain, Threat
from hiercls_plugins.verified_error.components import VerifiedError

LABELS = ("a", "b", "c", "d", "e")
LEFT, RIGHT = frozenset({0, 1}), frozenset({2, 3, 4})
TREE = grow(
    LABELS,
    {LEFT | RIGHT: [LEFT, RIGHT], LEFT: [frozenset({0}), frozenset({1})], RIGHT: [frozenset({k}) for k in (2, 3, 4)]},
)
THREAT = Threat(LINF, (0.1, 0.3))
SCOPE = Scope(LINF, "image", Domain())
GROUPS = (("a", "b"), ("c", "d", "e"))


def node(children, chosen, generator):
    radii = torch.rand(len(chosen), len(children), dtype=torch.float64, generator=generator) * 0.5
    radii[torch.rand(radii.shape, generator=generator) < 0.2] = 0.0
    decided = chosen >= 0
    radii[~decided] = 0.0
    radii[decided, chosen[decided]] = 0.0
    return NodeCertificates(tuple(children), chosen, others(radii, chosen), radii, 0.0, SCOPE)


def hierarchy(count=300, seed=0):
    """Random certificates of the tree, some inputs left undecided at either level."""
    generator = torch.Generator().manual_seed(seed)
    rows = {}
    for group in TREE.decisions:
        children = TREE.children(group)
        chosen = torch.randint(ABSTAIN, len(children), (count,), generator=generator)
        if group != TREE.root:
            place = TREE.children(TREE.root).index(group)
            chosen = torch.where(rows[TREE.root].chosen == place, chosen, UNREACHED)
        rows[group] = node(children, chosen, generator)
    return compose(TREE, rows), torch.randint(0, 5, (count,), generator=generator)


def flat(count=300, seed=1):
    tree = flat_tree(LABELS)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(ABSTAIN, 5, (count,), generator=generator)
    rows = {tree.root: node(tree.children(tree.root), chosen, generator)}
    return compose(tree, rows), torch.randint(0, 5, (count,), generator=generator)


def measure(certificates, truth, tree=TREE, groups=None):
    return VerifiedError(groups=groups).measure(tree, certificates, truth, THREAT)


def share(failures):
    failures = list(failures)
    return sum(failures) / len(failures)


def test_errors_of_a_tree_are_counted_as_the_words_say():
    certificates, truth = hierarchy()
    found = measure(certificates, truth)
    root, inner = certificates.nodes[TREE.root], [certificates.nodes[group] for group in (LEFT, RIGHT)]

    def group_of(label):
        return int(label >= 2)

    def entered(k):
        return int(root.chosen[k])

    def answered(k):
        side = entered(k)
        if side < 0 or inner[side].chosen[k] < 0:
            return None
        return (0, 2)[side] + int(inner[side].chosen[k])

    def stays(k):
        return min(float(root.own[k]), float(inner[entered(k)].own[k]))

    every = range(300)
    assert found["error"] == share(answered(k) != truth[k] for k in every)
    assert found["inter-group error"] == share(entered(k) != group_of(truth[k]) for k in every)
    for budget in THREAT.budgets:
        assert found[f"verified error @{budget:g}"] == share(
            answered(k) != truth[k] or not stays(k) >= budget for k in every
        )
        assert found[f"verified inter-group error @{budget:g}"] == share(
            entered(k) != group_of(truth[k]) or not root.own[k] >= budget for k in every
        )


@pytest.mark.parametrize("groups", [None, GROUPS], ids=["the tree's", "given"])
def test_a_flat_classifier_is_measured_against_the_groups_of_a_tree(groups):
    certificates, truth = flat()
    found = measure(certificates, truth, tree=TREE if groups is None else flat_tree(LABELS), groups=groups)
    (rows,) = certificates.nodes.values()
    groups = [{0, 1}, {2, 3, 4}]

    def own_group(label):
        return groups[int(label >= 2)]

    for budget in THREAT.budgets:
        failures = []
        for k in range(300):
            answer = int(rows.chosen[k])
            right = answer >= 0 and int(truth[k]) in own_group(answer)
            excluded = answer >= 0 and all(
                rows.radii[k, label] >= budget for label in range(5) if label not in own_group(answer)
            )
            failures.append(not (right and excluded))
        assert found[f"verified inter-group error @{budget:g}"] == share(failures)


def test_in_a_tree_of_depth_one_every_label_is_a_group():
    certificates, truth = flat()
    found = measure(certificates, truth, tree=flat_tree(LABELS))
    assert found["inter-group error"] == found["error"]
    assert found["verified inter-group error @0.1"] == found["verified error @0.1"]


def test_the_groups_of_the_root_given_by_name_change_nothing():
    certificates, truth = hierarchy()
    assert measure(certificates, truth, groups=(("e", "d", "c"), ("b", "a"))) == measure(certificates, truth)


def test_errors_never_fall_when_the_budget_grows_or_a_proof_is_asked_for():
    for certificates, truth in (hierarchy(seed=3), flat(seed=4)):
        found = measure(certificates, truth, groups=GROUPS)
        assert found["error"] <= found["verified error @0.1"] <= found["verified error @0.3"]
        assert found["inter-group error"] <= found["verified inter-group error @0.1"]
        assert found["inter-group error"] <= found["error"]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((("a", "b"), ("c", "d", "x")), "'x' is no label of this dataset"),
        ((("a", "b"), ("c", "d")), "'e' is in no group"),
        ((("a", "b"), ("b", "c", "d", "e")), "'b' is in two groups"),
    ],
)
def test_groups_that_are_no_partition_are_refused(groups, message):
    certificates, truth = hierarchy(3)
    with pytest.raises(ConfigurationError, match=message):
        measure(certificates, truth, groups=groups)


def test_no_inputs_are_no_measure():
    certificates, truth = hierarchy(0)
    with pytest.raises(DataError, match="no inputs to measure"):
        measure(certificates, truth)
