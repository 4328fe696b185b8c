"""Training with linear bounds over interval bounds, and certifying by them."""

import pytest
import torch
import torch.nn.functional as F
from bounds_toys import linear
from ibp_toys import HEADS, at, claims, convolutional, images, pgd
from torch import nn

from hiercls.contracts.context import Context
from hiercls.contracts.schedules import Schedule
from hiercls.testing import CertifierConformance, TrainerConformance
from hiercls.values.draws import Purpose
from hiercls.values.heads import retrained
from hiercls.words.norms import LINF
from hiercls.words.threats import EVERYWHERE, Domain, Threat
from hiercls_plugins.bounds.training.objective import WorstCase
from hiercls_plugins.bounds.training.ramp import Ramp
from hiercls_plugins.crown_ibp.certifier import CrownIbpCertifier
from hiercls_plugins.crown_ibp.objective import CrownWorstCase
from hiercls_plugins.crown_ibp.trainer import CrownIbp
from hiercls_plugins.ibp.certifier import IbpCertifier

UNIT = Domain()


class TestCrownIbpCertifier(CertifierConformance):
    tight = True

    def make(self):
        return CrownIbpCertifier(precision=0.01)


class TestCrownIbpTrainer(TrainerConformance):
    def make(self):
        return CrownIbp(eps=0.05, ramp=(1, 6), schedule=Schedule(epochs=12, batch=32, rate=5e-3, clip=10.0))


def radii(certifier, network, head, inputs, domain=UNIT, budgets=(0.01,)):
    context = Context(threat=Threat(LINF, budgets, domain=domain), batch=512)
    prover = certifier.deploy(network, (head,), "image", context)
    decided = prover.decide(inputs, Purpose.SELECT)
    found = {proof.index: proof.rows[head] for proof in prover.prove(claims(inputs, decided))}
    return torch.tensor([found[n].radii for n in range(len(inputs))], dtype=torch.float64), decided[head]


def test_a_detour_that_cancels_costs_linear_bounds_nothing():
    """Through 2h - h the interval of h grows threefold; the linear bound is that of h, the closed form."""

    class Detour(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            h = self.layer(x)
            return 2 * h - h

    made = Detour(linear([[4.0], [0.0]], [0.0, 1.0])).eval()  # 4x against 1
    inputs = images(1)[torch.tensor([0])]
    inputs = type(inputs)(torch.tensor([0]), {"image": torch.tensor([[0.5]])})
    head = retrained([frozenset((0,)), frozenset((1,))])
    tight, _ = radii(CrownIbpCertifier(precision=1e-4), made, head, inputs)
    loose, _ = radii(IbpCertifier(precision=1e-4), made, head, inputs)
    assert tight[0, 1].item() == pytest.approx(0.25, rel=2e-4)
    assert loose[0, 1].item() < 0.2


@pytest.mark.parametrize("head", HEADS)
def test_no_attack_succeeds_inside_a_radius_and_none_is_smaller_than_by_intervals(head):
    network = convolutional(4, seed=5)
    with torch.no_grad():
        network[6].bias.zero_()
        network[6].weight.mul_(3)
    inputs = images(48)
    found, decided = radii(CrownIbpCertifier(smallest=1e-5), network, head, inputs)
    intervals, _ = radii(IbpCertifier(smallest=1e-5), network, head, inputs)
    assert bool((found >= intervals * 0.995).all())
    assert bool((found > 1.2 * intervals)[intervals > 0].any())
    broken, beyond = 0, 0
    for child in range(len(head.children)):
        asked = (decided != child) & (found[:, child] > 0)
        target = torch.full((48,), child)
        broken += int((pgd(network, head, inputs.views["image"], target, found[:, child], UNIT) & asked).sum())
        beyond += int((pgd(network, head, inputs.views["image"], target, 30 * found[:, child], UNIT) & asked).sum())
    assert broken == 0
    assert beyond > 0, "the attack finds something where nothing is claimed"


def test_batches_of_1_and_of_512_give_equal_rows():
    network, inputs = convolutional(4), images(6)
    context = [Context(threat=Threat(LINF, (0.01,), domain=UNIT), batch=batch) for batch in (1, 512)]
    found = []
    for one in context:
        prover = CrownIbpCertifier(precision=0.5).deploy(network, HEADS, "image", one)
        decided = prover.decide(inputs, Purpose.SELECT)
        found.append({proof.index: proof.rows for proof in prover.prove(claims(inputs, decided))})
    assert found[0] == found[1]


def loss(objective, network, x, y, passed):
    return float(objective.loss(network, x, y, at(passed)).detach())


@pytest.mark.parametrize("passed", [0.5, 5.0, 9.0, 10.0, 30.0])
@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_with_two_outputs_a_linear_network_has_one_worst_case_by_either_bound(passed, beta):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 2)).train()
    x, y = torch.rand(9, 6), torch.arange(9) % 2
    ramp = Ramp(0.1, 0.25, 0, 10)
    ours = loss(CrownWorstCase(ramp, UNIT, 0.0, 0.0, beta), network, x, y, passed)
    assert ours == pytest.approx(loss(WorstCase(ramp, UNIT), network, x, y, passed), rel=1e-5)


def test_more_outputs_have_their_fused_worst_case_at_first_and_that_of_intervals_at_last():
    network = convolutional(4, seed=2).train()
    x, y = images(8).views["image"], torch.arange(8) % 4
    ramp = Ramp(0.02, 0.0, 0, 10)
    intervals = WorstCase(ramp, UNIT)
    assert loss(CrownWorstCase(ramp, UNIT, 0.0, 0.0, 0.0), network, x, y, 10) == pytest.approx(
        loss(intervals, network, x, y, 10), rel=1e-5
    )
    kept = CrownWorstCase(ramp, UNIT, 0.0, 0.0, 1.0)
    logits = network(x).detach()
    clean = float(F.cross_entropy(logits, y))
    assert clean < loss(kept, network, x, y, 10) < loss(intervals, network, x, y, 10)


def test_weights_of_layers_are_charged_by_l1():
    network = convolutional(2).train()
    x, y = images(4).views["image"], torch.arange(4) % 2
    ramp = Ramp(0.02, 0.5, 0, 10)
    plain = loss(WorstCase(ramp, EVERYWHERE), network, x, y, 5)
    charged = loss(WorstCase(ramp, EVERYWHERE, l1=0.01), network, x, y, 5)
    total = sum(
        float(layer.weight.detach().abs().sum()) for layer in network if isinstance(layer, nn.Linear | nn.Conv2d)
    )
    assert charged - plain == pytest.approx(0.01 * total, rel=1e-4)


def test_it_suggests_its_own_certifier():
    assert CrownIbp(eps=0.1).certifier() == {"crown-ibp": {}}
    assert CrownIbp(eps=0.1).budget() == 0.1
