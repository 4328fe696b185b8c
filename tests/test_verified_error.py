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
        assert found[f"overall verified error @{budget:g}"] == share(
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
    assert found["verified inter-group error @0.1"] == found["overall verified error @0.1"]


def test_the_groups_of_the_root_given_by_name_change_nothing():
    for certificates, truth in (hierarchy(), flat()):
        assert measure(certificates, truth, groups=(("e", "d", "c"), ("b", "a"))) == measure(certificates, truth)


def test_inside_groups_a_tree_is_counted_at_its_inner_splits_and_not_at_final_ones():
    certificates, truth = hierarchy()
    found = measure(certificates, truth)
    root, inner = certificates.nodes[TREE.root], certificates.nodes[RIGHT]

    def wrong(k):
        """Left is [a, b], a final split: whichever of the two is answered, the group is all that is asked."""
        if root.chosen[k] < 0 or int(truth[k] >= 2) != int(root.chosen[k]):
            return True
        return root.chosen[k] == 1 and int(inner.chosen[k]) != int(truth[k]) - 2

    for budget in THREAT.budgets:
        uncertified = [root.chosen[k] == 1 and not inner.own[k] >= budget for k in range(300)]
        assert found[f"verified intra-group error @{budget:g}"] == share(
            bool(wrong(k) or uncertified[k]) for k in range(300)
        )
        assert found[f"verified intra-group error, root included @{budget:g}"] == share(
            bool(wrong(k) or uncertified[k] or not root.own[k] >= budget) for k in range(300)
        )


def test_inside_groups_a_flat_classifier_is_asked_what_the_tree_is_asked():
    certificates, truth = flat()
    found = measure(certificates, truth)
    (rows,) = certificates.nodes.values()
    parts, groups = [{0, 1}, {2}, {3}, {4}], [{0, 1}, {2, 3, 4}]

    def holder(sets, label):
        return next(each for each in sets if label in each)

    for budget in THREAT.budgets:
        for name, wholes in (("", groups), (", root included", [{0, 1, 2, 3, 4}])):
            failures = []
            for k in range(300):
                answer = int(rows.chosen[k])
                right = answer >= 0 and int(truth[k]) in holder(parts, answer)
                left = holder(wholes, answer) - holder(parts, answer) if answer >= 0 else set()
                failures.append(not right or any(rows.radii[k, label] < budget for label in left))
            assert found[f"verified intra-group error{name} @{budget:g}"] == share(failures)


def test_a_final_split_may_put_the_intra_group_error_below_the_error():
    """One input, right at the root and wrong between the last two labels."""
    rows = {
        TREE.root: NodeCertificates(TREE.children(TREE.root), torch.tensor([0]), *radii([0.0, 0.2], 0.2), 0.0, SCOPE),
        LEFT: NodeCertificates(TREE.children(LEFT), torch.tensor([1]), *radii([0.0, 0.0], 0.0), 0.0, SCOPE),
        RIGHT: NodeCertificates(
            TREE.children(RIGHT), torch.tensor([UNREACHED]), *radii([0.0, 0.0, 0.0], 0.0), 0.0, SCOPE
        ),
    }
    found = measure(compose(TREE, rows), torch.tensor([0]))
    assert found["error"] == 1
    assert found["verified intra-group error @0.3"] == 0
    assert found["verified intra-group error, root included @0.1"] == 0
    assert found["verified intra-group error, root included @0.3"] == 1


def radii(row, own):
    return torch.tensor([own], dtype=torch.float64), torch.tensor([row], dtype=torch.float64)


def test_without_a_split_inside_the_groups_there_is_no_intra_group_error():
    certificates, truth = flat()
    for tree, groups in ((flat_tree(LABELS), None), (TREE, (("a", "c"), ("b", "d", "e")))):
        assert not [name for name in measure(certificates, truth, tree, groups) if "intra" in name]


def test_an_outside_label_may_be_beaten_by_any_label_and_the_answer_stays_in_its_group():
    """Margins that move by at most r: c is beaten by the answer a, d by b alone, e by the outside label c alone."""
    points = torch.tensor([[3.0, 2.5, 1.0, 0.5, -1.0]])
    beaten_by = {2: 0, 3: 1, 4: 2}
    row = torch.zeros(1, 5, dtype=torch.float64)
    for label, leader in beaten_by.items():
        row[0, label] = (points[0, leader] - points[0, label]) / 2
    tree = flat_tree(LABELS)
    rows = NodeCertificates(tree.children(tree.root), torch.tensor([0]), torch.zeros(1).double(), row, 0.0, SCOPE)
    budget = float(row[0, 2:].min())
    moved = points + (torch.rand(4000, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1) * budget * 0.999
    assert set(moved.argmax(dim=1).tolist()) <= {0, 1}
    threat = Threat(LINF, (budget,))
    found = VerifiedError().measure(TREE, compose(tree, {tree.root: rows}), torch.tensor([1]), threat)
    assert found[f"verified inter-group error @{budget:g}"] == 0
    assert found["inter-group error"] == 0
    assert found["error"] == 1


def test_errors_never_fall_when_the_budget_grows_or_a_proof_is_asked_for():
    for certificates, truth in (hierarchy(seed=3), flat(seed=4)):
        found = measure(certificates, truth, groups=GROUPS)
        assert found["error"] <= found["overall verified error @0.1"] <= found["overall verified error @0.3"]
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
