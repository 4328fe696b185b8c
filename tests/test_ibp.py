"""Training on interval bounds and certifying by them."""

from math import pi, sqrt

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from hiercls.contracts.components import Task
from hiercls.contracts.context import Context
from hiercls.contracts.fitting import Moment
from hiercls.contracts.provers import Claim
from hiercls.contracts.schedules import Schedule
from hiercls.testing import CertifierConformance, TrainerConformance
from hiercls.values.draws import Purpose
from hiercls.values.heads import Head, restricted, retrained
from hiercls.values.views import Inputs
from hiercls.words.errors import HierclsError
from hiercls.words.norms import LINF
from hiercls.words.threats import Domain, Threat
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box, around
from hiercls_plugins.bounds.training.initial import draw_fast_weights
from hiercls_plugins.bounds.training.objective import WorstCase, worst_case
from hiercls_plugins.bounds.training.ramp import Ramp
from hiercls_plugins.bounds.training.regulariser import imbalance, looseness, penalty
from hiercls_plugins.ibp.certifier import IbpCertifier
from hiercls_plugins.ibp.trainer import Ibp

UNIT = Domain()
SHORT = Schedule(epochs=12, batch=32, rate=5e-3, clip=10.0)


class TestIbpCertifier(CertifierConformance):
    tight = True

    def make(self):
        return IbpCertifier()


class TestIbpTrainer(TrainerConformance):
    def make(self):
        return Ibp(eps=0.05, ramp=(1, 6), schedule=SHORT)


def at(passed, epochs=60):
    return Moment(int(passed), int(passed * 100), 100, epochs, torch.Generator())


def convolutional(outputs, seed=0):
    torch.manual_seed(seed)
    layers = (nn.Conv2d(1, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 12), nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(12, outputs)).eval()


def singles(*labels):
    return [frozenset((label,)) for label in labels]


def claims(inputs, decided):
    return [
        Claim(inputs[n : n + 1], {head: int(child[n]) for head, child in decided.items()}) for n in range(len(inputs))
    ]


def deploy(network, heads, budgets=(), domain=UNIT, batch=512, **options):
    context = Context(threat=Threat(LINF, tuple(budgets), domain=domain), batch=batch)
    return IbpCertifier(**options).deploy(network, tuple(heads), "image", context)


def rows(prover, inputs):
    decided = prover.decide(inputs, Purpose.SELECT)
    return {proof.index: proof.rows for proof in prover.prove(claims(inputs, decided))}


def images(count, seed=0):
    x = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return Inputs(torch.arange(count), {"image": x})


def test_the_ramp_is_flat_then_bent_then_straight():
    ramp = Ramp(0.1, 0.5, 1, 21)
    assert [ramp.budget(s) for s in (0, 1, 21, 50)] == [0, 0, 0.1, 0.1]
    assert ramp.budget(3.5) / ramp.budget(2.25) == pytest.approx(16), "the fourth power, up to a quarter of the way"
    middle, before = ramp.budget(6), 1e-6
    assert (middle - ramp.budget(6 - before)) / before == pytest.approx((ramp.budget(21) - middle) / 15, rel=1e-4)
    straight = [ramp.budget(s) for s in (6, 11, 16, 21)]
    assert straight[1] - straight[0] == pytest.approx(straight[3] - straight[2])


def test_the_clean_weight_falls_as_the_budget_rises():
    ramp = Ramp(0.2, 0.5, 0, 10)
    assert ramp.clean_weight(0) == 1
    assert ramp.clean_weight(10) == 0.5
    assert ramp.clean_weight(5) == pytest.approx(1 - 0.5 * ramp.budget(5) / 0.2)


def test_fast_weights_have_their_deviation_and_leave_the_last_layer():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 64, 5), nn.Flatten(), nn.Linear(400, 300), nn.Linear(300, 10))
    last, biases = network[3].weight.clone(), [network[k].bias.clone() for k in (0, 2, 3)]
    draw_fast_weights(network, torch.Generator().manual_seed(1))
    for layer, fan_in in ((network[0], 75), (network[2], 400)):
        assert layer.weight.std().item() == pytest.approx(sqrt(2 * pi) / fan_in, rel=0.03)
        assert layer.weight.abs().sum().item() / len(layer.weight) == pytest.approx(2, rel=0.03)
    assert torch.equal(network[3].weight, last)
    assert all(torch.equal(network[k].bias, bias) for k, bias in zip((0, 2, 3), biases, strict=True))


def test_fast_weights_keep_the_size_of_boxes_through_the_layers():
    torch.manual_seed(0)
    network = nn.Sequential(*[layer for _ in range(6) for layer in (nn.Linear(300, 300), nn.ReLU())], nn.Linear(300, 2))
    x = torch.randn(8, 300)
    radii = {}
    for name in ("default", "fast"):
        if name == "fast":
            draw_fast_weights(network, torch.Generator().manual_seed(1))
        features = Bounded(network).features(Box(x, torch.full_like(x, 0.01)))
        radii[name] = features.before_relu[-1].radius.mean() / 0.01
    assert radii["default"] > 1000
    assert 0.3 < radii["fast"] < 5


def test_the_worst_case_is_the_cross_entropy_of_the_least_favourable_logits():
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).double()
    box = around(images(7).views["image"].double(), 0.02, UNIT)
    y = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    weight, bias = network[1].weight, network[1].bias
    centre, radius = box.centre.flatten(1), box.radius.flatten(1)
    logits = torch.stack(
        [
            torch.stack(
                [
                    -((weight[k] - weight[j]) @ c - (weight[k] - weight[j]).abs() @ r + bias[k] - bias[j])
                    for j in range(3)
                ]
            )
            for k, c, r in zip(y.tolist(), centre, radius, strict=True)
        ]
    )
    found = worst_case(Bounded(network).features(box), y)
    assert torch.allclose(found, F.cross_entropy(logits, y), atol=1e-12)


def test_the_loss_mixes_clean_and_worst_case_by_kappa_and_adds_the_regulariser_until_the_ramp_ends():
    network = convolutional(3).train()
    x, y = images(16).views["image"], torch.arange(16) % 3
    objective = WorstCase(Ramp(0.1, 0.25, 2, 10), UNIT, 0.5)
    logits, statistics = Bounded(network).concrete(x)
    clean = F.cross_entropy(logits, y)

    def parts(budget):
        box = around(x, budget, UNIT)
        features = Bounded(network).features(box, statistics)
        return worst_case(features, y), penalty(box, features.before_relu)

    worst, _ = parts(0.1)
    assert torch.allclose(objective.loss(network, x, y, at(30)), 0.25 * clean + 0.75 * worst)
    _, extra = parts(1e-4)
    assert torch.allclose(objective.loss(network, x, y, at(1)), clean + 0.5 * extra)
    share = objective.ramp.progress(8)
    worst, extra = parts(0.1 * share)
    kappa = 1 - 0.75 * share
    expected = kappa * clean + (1 - kappa) * worst + 0.5 * (1 - share) * extra
    assert torch.allclose(objective.loss(network, x, y, at(8)), expected)
    plain = WorstCase(Ramp(0.1, 0.25, 2, 10), UNIT, 0.0)
    assert torch.allclose(plain.loss(network, x, y, at(1)), clean)


def test_an_eval_pass_between_two_steps_changes_no_loss():
    network = convolutional(3).train()
    x, y = images(16).views["image"], torch.arange(16) % 3
    objective = WorstCase(Ramp(0.1, 0.25, 0, 10), UNIT, 0.5)
    first = objective.loss(network, x, y, at(30))
    network.eval()(x)
    network.train()
    assert torch.equal(objective.loss(network, x, y, at(30)), first)


def slow_imbalance(box):
    """The authors' formulas, with masks, in plain autograd; t = 0.5."""
    centre = box.centre
    active, inactive = box.lower > 0, box.upper < 0
    delta = (centre - centre.mean()) ** 2
    mean = (centre * active).sum() / -(centre * inactive).sum()
    variance = (delta * active).sum() / (delta * inactive).sum()
    return sum(F.relu(0.5 - torch.minimum(ratio, 1 / ratio)) / 0.5 for ratio in (mean, variance))


@pytest.mark.parametrize("shift", [0.8, -0.3, 1.8])
def test_the_imbalance_and_its_gradient_are_those_of_the_formulas(shift):
    torch.manual_seed(0)
    centre = (torch.randn(8, 50, dtype=torch.float64) + shift).requires_grad_(True)
    radius = 0.3 * torch.rand(8, 50, dtype=torch.float64)
    ours, theirs = imbalance(Box(centre, radius)), slow_imbalance(Box(centre, radius))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9)
    assert ours.item() > 0
    (one,), (other,) = torch.autograd.grad(ours, centre), torch.autograd.grad(theirs, centre)
    assert torch.allclose(one, other, atol=1e-12)


def test_a_layer_without_inactive_neurons_has_no_imbalance_and_no_broken_gradient():
    centre = torch.rand(4, 5).add(1).requires_grad_(True)
    found = imbalance(Box(centre, torch.full((4, 5), 0.1)))
    assert found.item() == 0
    (found + centre.sum()).backward()
    assert torch.equal(centre.grad, torch.ones(4, 5))


def test_looseness_begins_where_the_radius_has_doubled():
    entry = Box(torch.zeros(2, 3), torch.full((2, 3), 0.1))
    for growth, expected in ((1.0, 0.0), (2.0, 0.0), (4.0, 0.5), (1e6, 1.0)):
        found = looseness(entry, Box(torch.zeros(2, 4), torch.full((2, 4), 0.1 * growth)))
        assert found.item() == pytest.approx(expected, abs=1e-5)


def test_a_ramp_longer_than_the_training_is_refused():
    with pytest.raises(ValidationError, match=r"the default ramp \[1, 21\] must rise within the 10 epochs .*; write a"):
        Ibp(eps=0.1, schedule=Schedule(epochs=10))
    with pytest.raises(ValidationError, match=r"the ramp \[1, 21\] must rise within the 10 epochs of the schedule \["):
        Ibp(eps=0.1, ramp=(1, 21), schedule=Schedule(epochs=10))
    with pytest.raises(ValidationError, match="must lie below largest"):
        IbpCertifier(smallest=0.5, largest=0.1)


def test_a_schedule_named_in_part_keeps_the_rest_of_this_trainers_own():
    trainer = Ibp.model_validate({"eps": 0.1, "schedule": {"epochs": 50, "decay": {"at": [36, 44], "by": 0.2}}})
    assert trainer.schedule.epochs == 50
    assert trainer.schedule.decay.at == (36, 44)
    assert (trainer.schedule.batch, trainer.schedule.rate, trainer.schedule.clip) == (256, 5e-4, 10)


def test_it_suggests_its_own_certifier():
    assert Ibp(eps=0.1).certifier() == {"ibp": {}}


def test_keep_starts_from_the_weights_it_is_given():
    """Without a step of training to speak of, the weights are nearly those before."""
    x, y = images(32).views["image"], torch.arange(32) % 2
    task = Task(x, y, x[:0], y[:0], tuple(singles(0, 1)), UNIT)
    crawl = Schedule(epochs=1, batch=32, rate=1e-9)
    for initialisation, near in (("keep", True), ("fast", False)):
        network = convolutional(2)
        before = network[4].weight.detach().clone()
        trainer = Ibp(eps=0.1, ramp=(0, 1), initialisation=initialisation, schedule=crawl)
        trainer.fit(network, task, Context())
        assert torch.allclose(network[4].weight, before, atol=1e-6) == near


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.second(self.first(x)) + x)


def blobs(count, seed):
    """Bright left or bright right halves, with noise."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 2
    x = 0.35 * torch.rand(count, 1, 8, 8, generator=generator)
    x[y == 0, :, :, :4] += 0.4
    x[y == 1, :, :, 4:] += 0.4
    return x, y


@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_training_on_bounds_certifies_what_plain_training_does_not(kind):
    x, y = blobs(256, 0)
    fresh, truth = blobs(64, 1)
    head = retrained(singles(0, 1))
    task = Task(x, y, x[:0], y[:0], head.children, UNIT)
    schedule = Schedule(epochs=20, batch=32, rate=5e-3, clip=10.0)
    shares = {}
    for name, trainer in (
        ("clean", Ibp(eps=1e-6, kappa=1.0, ramp=(0, 1), initialisation="keep", regularisation=0, schedule=schedule)),
        ("robust", Ibp(eps=0.1, ramp=(1, 12), schedule=schedule)),
    ):
        torch.manual_seed(0)
        middle = [Block()] if kind == "residual" else [nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()]
        layers = (nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), *middle, nn.Flatten())
        network = trainer.fit(nn.Sequential(*layers, nn.Linear(256, 2)), task, Context())
        prover = deploy(network, [head], budgets=(0.1,), precision=0.5)
        found = rows(prover, Inputs(torch.arange(64), {"image": fresh}))
        shares[name] = sum(row[head].own >= 0.1 and row[head].chosen == truth[n] for n, row in found.items()) / 64
    assert shares["robust"] > 0.9
    assert shares["clean"] < 0.5


HEADS = (retrained(singles(0, 1, 2, 3)), restricted(singles(0, 2)), restricted([frozenset((0, 3)), frozenset((1, 2))]))


def pgd(network, head, x, child, budget, domain, steps=30):
    """Points of the ball where a child may score highest, and whether it was ever chosen, (N,) bool."""
    found = torch.zeros(len(x), dtype=torch.bool)
    reach = budget.float().reshape(-1, 1, 1, 1)
    for seed in range(3):
        noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        moved = (x + reach * noise).clamp(domain.lower, domain.upper)
        for _ in range(steps):
            moved.requires_grad_(True)
            scores = head.scores(network(moved))
            rivals = scores.detach().clone()
            rivals[torch.arange(len(x)), child] = -torch.inf
            gain = scores[torch.arange(len(x)), child] - scores[torch.arange(len(x)), rivals.argmax(1)]
            (gradient,) = torch.autograd.grad(gain.sum(), moved)
            moved = moved.detach() + reach / 6 * gradient.sign()
            moved = torch.maximum(torch.minimum(moved, x + reach), x - reach).clamp(domain.lower, domain.upper)
            inside = ((moved - x).double().abs() <= budget.reshape(-1, 1, 1, 1)).flatten(1).all(1)
            found |= inside & (head.decide(network(moved)) == child)
    return found


@pytest.mark.parametrize("head", HEADS)
def test_no_attack_succeeds_inside_a_radius(head):
    network = convolutional(4, seed=5)
    with torch.no_grad():
        network[6].bias.zero_()
        network[6].weight.mul_(3)
    inputs = images(48)
    prover = deploy(network, [head], smallest=1e-5)
    decided = prover.decide(inputs, Purpose.SELECT)[head]
    proved = rows(prover, inputs)
    radii = torch.tensor([proved[n][head].radii for n in range(48)], dtype=torch.float64)
    own = torch.tensor([proved[n][head].own for n in range(48)], dtype=torch.float64)
    assert bool((own > 0).any())
    broken, beyond = 0, 0
    for child in range(len(head.children)):
        target = torch.full((48,), child)
        asked = (decided != child) & (radii[:, child] > 0)
        broken += int((pgd(network, head, inputs.views["image"], target, radii[:, child], UNIT) & asked).sum())
        wide = radii[:, child] * 30
        beyond += int((pgd(network, head, inputs.views["image"], target, wide, UNIT) & asked).sum())
    assert broken == 0
    assert beyond > 0, "the attack finds something where nothing is claimed"


def test_batches_of_1_and_of_512_give_equal_rows():
    network = convolutional(4)
    inputs = images(70)
    one = rows(deploy(network, HEADS, (0.01,), batch=1), inputs[torch.arange(0, 70, 13)])
    many = rows(deploy(network, HEADS, (0.01,), batch=512), inputs)
    assert one == {n: many[n] for n in one}


def test_a_grouped_child_is_excluded_later_than_each_of_its_labels():
    network = convolutional(4, seed=5)
    inputs = images(40)
    flat, grouped = HEADS[0], HEADS[2]
    proved = rows(deploy(network, (flat, grouped), precision=1e-4), inputs)
    for row in proved.values():
        for child, group in enumerate(grouped.outputs):
            if child != row[grouped].chosen and row[flat].chosen not in group:
                weakest = min(row[flat].radii[label] for label in group)
                assert row[grouped].radii[child] <= weakest * (1 + 1e-3)


def test_a_claim_at_an_asked_budget_is_not_lost_between_two_steps():
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2)).eval()
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        network[1].bias.zero_()
    inputs = Inputs(torch.arange(1), {"image": torch.tensor([[0.75, 0.25]])})
    head = retrained(singles(0, 1))
    budget = 0.25 * (1 - 1e-5)
    assert rows(deploy(network, [head], (budget,), precision=0.9), inputs)[0][head].own == budget
    assert rows(deploy(network, [head], precision=0.9), inputs)[0][head].own < 0.24


def test_the_domain_makes_radii_larger():
    """At a corner of the box half of the ball is out of reach."""
    network = convolutional(2, seed=3)
    x = (torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    inputs = Inputs(torch.arange(30), {"image": x})
    head = retrained(singles(0, 1))
    clipped = rows(deploy(network, [head]), inputs)
    free = rows(deploy(network, [head], domain=Domain("all")), inputs)
    assert all(clipped[n][head].own >= free[n][head].own for n in range(30))
    assert any(clipped[n][head].own > 1.2 * free[n][head].own for n in range(30))


def test_a_domain_without_zero_serves_padded_tiles():
    network = convolutional(2, seed=3)
    inputs = images(3).with_view("image", 1 + images(3).views["image"])
    head = retrained(singles(0, 1))
    found = rows(deploy(network, [head], domain=Domain("box", 1.0, 2.0)), inputs)
    assert any(row[head].own > 0 for row in found.values())
    outside = rows(deploy(network, [head], domain=Domain("box", 1.5, 2.0)), inputs)
    assert not any(row[head].own > 0 for row in outside.values())


def test_a_network_that_cannot_be_bounded_is_refused_at_deployment():
    with pytest.raises(HierclsError, match="GELU at '1'"):
        deploy(nn.Sequential(nn.Linear(2, 2), nn.GELU()), HEADS[:1])


SWAPPED = [1, *range(1, 256)]


class Wayward(nn.Module):
    """A linear network whose pass does what its bounds do not show, or not everywhere."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.layer = nn.Linear(16, 2)
        self.passes = 0

    def forward(self, x):
        x = x.flatten(1)
        self.passes += 1
        if self.kind == "random":
            return self.layer(x) + float(torch.rand(()))
        if self.kind == "drifts":
            return self.layer(x) + (self.passes > 2)
        if self.kind == "swaps":
            return self.layer(x[SWAPPED])
        return self.layer(x) + F.relu(x[SWAPPED].mean(1, keepdim=True) - 0.95)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("random", "traced again, as it is deployed, the network has other operations or numbers"),
        ("drifts", "change when a pass is repeated"),
        ("swaps", "depend on other rows of the batch"),
        ("swaps where rows are bright", "depend on other rows of the batch"),
    ],
)
def test_a_network_that_is_not_what_was_bounded_is_refused_before_its_first_claim(kind, message):
    torch.manual_seed(0)
    prover = deploy(Wayward(kind).eval(), [retrained(singles(0, 1))])
    with pytest.raises(HierclsError, match=message):
        rows(prover, Inputs(torch.arange(3), {"image": torch.rand(3, 1, 4, 4)}))


def test_outputs_may_mean_children_in_any_order():
    network = convolutional(2, seed=3)
    inputs = images(20)
    straight, turned = retrained(singles(0, 1)), Head(tuple(singles(0, 1)), ((1,), (0,)))
    found = rows(deploy(network, (straight, turned)), inputs)
    for row in found.values():
        assert row[straight].chosen == 1 - row[turned].chosen
        assert row[straight].radii == row[turned].radii[::-1]
