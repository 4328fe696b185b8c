"""Which children of a head bounds exclude: the rule by its words, and no point that chooses one."""

import pytest
import torch
from bounds_toys import UNIT, members
from torch import nn

from hiercls.values.heads import Head, restricted, retrained
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box, enclosing
from hiercls_plugins.bounds.exclusion import excluded
from hiercls_plugins.bounds.rounding import FLOAT32


def every_exclusion(weight, bias, centre, radius, head):
    """The rule by its words, in loops."""
    found = []
    for c, group in enumerate(head.outputs):
        beaten = []
        for j in group:
            leads = []
            for other, rivals in enumerate(head.outputs):
                for i in rivals:
                    slope = weight[i] - weight[j]
                    leads.append(other != c and (slope @ centre - slope.abs() @ radius + bias[i] - bias[j]).item() > 0)
            beaten.append(any(leads))
        found.append(all(beaten))
    return found


HEADS = (
    retrained([frozenset((k,)) for k in range(5)]),
    restricted([frozenset((0,)), frozenset((2,)), frozenset((4,))]),
    restricted([frozenset((0, 3)), frozenset((1, 2, 4))]),
    Head((frozenset((0,)), frozenset((1,))), ((3, 1), (0,))),
)


@pytest.mark.parametrize("head", HEADS)
def test_a_child_is_excluded_when_some_output_outside_beats_each_of_its_own(head):
    made = nn.Sequential(nn.Flatten(), nn.Linear(6, 5)).double().eval()
    torch.manual_seed(1)
    nn.init.normal_(made[1].weight)
    box = Box(torch.rand(60, 6).double(), 0.1 * torch.rand(60, 6).double())
    found = excluded(Bounded(made, FLOAT32).features(box), head, FLOAT32)
    expected = [
        every_exclusion(made[1].weight.detach(), made[1].bias.detach(), c, r, head)
        for c, r in zip(box.centre, box.radius, strict=True)
    ]
    assert found.tolist() == expected
    assert 0 < found.float().mean() < 1


@pytest.mark.parametrize("head", HEADS)
def test_no_point_of_a_box_chooses_an_excluded_child(head):
    torch.manual_seed(2)
    made = nn.Sequential(nn.Flatten(), nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 5)).double().eval()
    box = enclosing(torch.rand(80, 6), torch.full((80,), 0.05, dtype=torch.float64), UNIT)
    found = excluded(Bounded(made, FLOAT32).features(box), head, FLOAT32)
    assert bool(found.any())
    for points in members(box, 60):
        chosen = head.decide(made(points))
        assert not bool(found.gather(1, chosen[:, None]).any())


def test_permuted_children_are_excluded_alike():
    torch.manual_seed(2)
    made = nn.Sequential(nn.Flatten(), nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).double().eval()
    box = enclosing(torch.rand(40, 6), torch.full((40,), 0.03, dtype=torch.float64), UNIT)
    features = Bounded(made, FLOAT32).features(box)
    children = (frozenset((0,)), frozenset((1,)), frozenset((2,)))
    straight = excluded(features, Head(children, ((0,), (1,), (2,))), FLOAT32)
    turned = excluded(features, Head(children, ((2,), (0,), (1,))), FLOAT32)
    assert torch.equal(straight[:, [2, 0, 1]], turned)
