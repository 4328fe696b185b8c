"""The attack inside a training step, and losses that combine it with bounds."""

from itertools import count

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from hiercls.contracts.components import Task
from hiercls.contracts.context import Context
from hiercls.contracts.fitting import Moment
from hiercls.contracts.schedules import Schedule
from hiercls.testing import TrainerConformance
from hiercls.words.threats import Domain
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.boxes import Box, around
from hiercls_plugins.bounds.training.adversary import Adversary, outputs
from hiercls_plugins.bounds.training.objective import Step, WorstCase, worst_case
from hiercls_plugins.bounds.training.ramp import Ramp
from hiercls_plugins.expressive.losses import Combined, losses, margins, powers
from hiercls_plugins.expressive.trainers import CcIbp, ExpIbp, MtlIbp
from hiercls_plugins.sabr.trainer import Sabr

UNIT = Domain()
SHORT = Schedule(epochs=12, batch=32, rate=5e-3, clip=10.0)
TRAINERS = {"mtl-ibp": MtlIbp, "cc-ibp": CcIbp, "exp-ibp": ExpIbp}
ATTACKING = {
    **{name: trainer(eps=0.1, alpha=0.3, attack_steps=2) for name, trainer in TRAINERS.items()},
    "sabr": Sabr(eps=0.1, share=0.3, attack_steps=2),
}
ONCE = Adversary(1, 10.0)


class TestMtlIbp(TrainerConformance):
    def make(self):
        return MtlIbp(eps=0.05, alpha=0.2, ramp=(1, 6), schedule=SHORT)


class TestCcIbp(TrainerConformance):
    def make(self):
        return CcIbp(eps=0.05, alpha=0.2, ramp=(1, 6), schedule=SHORT)


class TestExpIbp(TrainerConformance):
    def make(self):
        return ExpIbp(eps=0.05, alpha=0.5, ramp=(1, 6), schedule=SHORT)


def late(seed=0):
    """A moment after the ramp, where nothing but the worst case counts."""
    return Moment(30, 3000, 100, 60, torch.Generator().manual_seed(seed))


def step_of(network, x, y, budget=0.1, domain=UNIT, seed=0):
    bounded = Bounded(network)
    logits, statistics = bounded.concrete(x)
    return Step(bounded, x, y, logits, statistics, budget, 1.0, domain, late(seed))


def batch(number=24, outputs=3):
    """Inputs of which many entries lie on the border of the domain."""
    x = (2 * torch.rand(number, 1, 8, 8, generator=torch.Generator().manual_seed(4)) - 0.5).clamp(0, 1)
    return x, torch.arange(number) % outputs


def normalised(outputs=3):
    torch.manual_seed(1)
    first = (nn.Conv2d(1, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    network = nn.Sequential(*first, nn.Linear(36, 12), nn.BatchNorm1d(12, affine=False), nn.ReLU())
    return network.append(nn.Linear(12, outputs)).train()


def linear():
    torch.manual_seed(2)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).train()


def linear_worst(network, x, y, eps):
    """The mean of log(1 + exp(-m)), m the lowest margin of a linear network of two outputs over the clipped ball."""
    layer = network[1]
    lower, upper = (x - eps).clamp(0, 1).flatten(1), (x + eps).clamp(0, 1).flatten(1)
    rows = layer.weight[y] - layer.weight[1 - y]
    lowest = torch.where(rows > 0, lower, upper)
    margin = (rows * lowest).sum(1) + layer.bias[y] - layer.bias[1 - y]
    return torch.log1p((-margin).exp()).mean()


def objective(trainer):
    class NoMoreThanItsDomain:
        domain = UNIT

    return trainer.objective(Ramp(trainer.eps, trainer.kappa, *trainer.ramp), NoMoreThanItsDomain)


@pytest.mark.parametrize("alpha", [0.01, 0.4, 1.0])
@pytest.mark.parametrize("name", TRAINERS)
def test_on_a_linear_network_attack_and_bound_meet_so_that_alpha_changes_nothing(name, alpha):
    network, (x, y) = linear(), batch(outputs=2)
    loss = objective(TRAINERS[name](eps=0.1, alpha=alpha)).loss(network, x, y, late())
    assert loss.item() == pytest.approx(linear_worst(network, x, y, 0.1).item(), rel=1e-5)


@pytest.mark.parametrize("name", TRAINERS)
def test_alpha_1_is_ibp_bit_by_bit(name):
    found = {}
    for kind in ("ibp", name):
        network, (x, y) = normalised(), batch()
        ramp = Ramp(0.1, 0.0, 1, 21)
        if kind == "ibp":
            loss = WorstCase(ramp, UNIT).loss(network, x, y, late())
        else:
            loss = objective(TRAINERS[name](eps=0.1, alpha=1.0)).loss(network, x, y, late())
        loss.backward()
        found[kind] = [loss, *(parameter.grad for parameter in network.parameters())]
    assert all(torch.equal(one, other) for one, other in zip(found["ibp"], found[name], strict=True))


def test_the_combinations_are_their_formulas():
    network, (x, y) = normalised(), batch()
    step = step_of(network, x, y, 0.02)
    logits = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
    bound = step.features.outputs()
    rows = torch.eye(3)[y][:, None, :] - torch.eye(3)
    merged = rows @ step.features.weight
    lowest = (merged * step.features.box.centre[:, None]).sum(2) - (
        merged.abs() * step.features.box.radius[:, None]
    ).sum(2)
    lowest = lowest + rows @ step.features.bias
    assert bool((lowest >= (rows * bound.centre[:, None]).sum(2) - (rows.abs() * bound.radius[:, None]).sum(2)).all())
    above = logits[torch.arange(24), y][:, None] - logits
    ibp, adversarial = (torch.exp(-m).sum(1).log().mean() for m in (lowest, above))
    mixed = torch.exp(-(0.3 * lowest + 0.7 * above)).sum(1).log().mean()
    assert losses(step, logits, 0.3).item() == pytest.approx((0.3 * ibp + 0.7 * adversarial).item(), rel=1e-5)
    assert margins(step, logits, 0.3).item() == pytest.approx(mixed.item(), rel=1e-5)
    assert powers(step, logits, 0.3).item() == pytest.approx((ibp**0.3 * adversarial**0.7).item(), rel=1e-5)


def test_every_combination_grows_from_the_attack_to_the_bound_and_the_mean_of_losses_is_the_largest():
    network, (x, y) = normalised(), batch()
    step = step_of(network, x, y, 0.05)
    logits = outputs(step.bounded, ONCE.point(step, step.box), step.statistics)
    lower, upper = F.cross_entropy(logits, y).item(), worst_case(step.features, y).item()
    assert lower < 0.9 * upper
    values = {
        combine: [combine(step, logits, alpha).item() for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)]
        for combine in (losses, margins, powers)
    }
    for found in values.values():
        assert found[0] == pytest.approx(lower, rel=1e-5)
        assert found == sorted(found)
        assert found[-1] == pytest.approx(upper, rel=1e-5)
    for k in (1, 2, 3):
        assert max(values[margins][k], values[powers][k]) < values[losses][k]


def test_an_adversarial_loss_of_0_has_a_finite_power():
    network, (x, y) = normalised(), batch()
    step = step_of(network, x, y, 0.01)
    logits = (1e3 * F.one_hot(y, 3)).float().requires_grad_(True)
    assert F.cross_entropy(logits, y).item() == 0
    loss = powers(step, logits, 0.5)
    loss.backward()
    assert bool(loss.isfinite())
    assert bool(logits.grad.isfinite().all())
    assert all(bool(parameter.grad.isfinite().all()) for parameter in network.parameters())


def test_the_attacked_network_is_the_one_of_the_clean_pass():
    """Same logits for the same inputs, and the same gradients, through the statistics too."""
    network, (x, y) = normalised(), batch()
    step = step_of(network, x, y)
    before = [buffer.clone() for buffer in network.buffers()]
    ours = outputs(step.bounded, x, step.statistics)
    assert torch.allclose(ours, step.logits, atol=1e-5)
    ours = outputs(step.bounded, x.flip(0)[:5], step.statistics)
    assert torch.allclose(ours, step.logits.flip(0)[:5], atol=1e-5), "whatever else is in the batch"
    assert all(torch.equal(one, other) for one, other in zip(network.buffers(), before, strict=True))
    one = torch.autograd.grad(outputs(step.bounded, x, step.statistics).square().sum(), list(network.parameters()))
    other = torch.autograd.grad(network(x).square().sum(), list(network.parameters()))
    assert all(torch.allclose(a, b, atol=1e-3, rtol=1e-4) for a, b in zip(one, other, strict=True))


def test_in_eval_mode_the_attacked_network_is_the_deployed_one():
    network, (x, y) = normalised().eval(), batch()
    step = step_of(network, x, y)
    assert torch.equal(outputs(step.bounded, x, step.statistics), network(x))


@pytest.mark.parametrize("domain", [UNIT, Domain("all")], ids=["box", "all"])
def test_one_step_of_10_ends_in_a_corner_of_the_clipped_ball_and_raises_the_loss(domain):
    network, (x, y) = normalised(), batch()
    step = step_of(network, x, y, domain=domain)
    found = ONCE.point(step, step.box)
    assert not found.requires_grad
    corners = torch.isclose(found, step.box.lower) | torch.isclose(found, step.box.upper)
    assert corners[:, :, :7, :7].float().mean() > 0.95, "the last row and column are outside of every window"
    assert bool((found - x).abs().max() <= 0.1 + 1e-6)
    assert bool(((found >= 0) & (found <= 1)).all()) == domain.bounded
    attacked = outputs(step.bounded, found, step.statistics)
    assert F.cross_entropy(attacked, y) > F.cross_entropy(step.logits, y) + 0.1


def test_short_steps_stay_near_the_random_start():
    network, (x, y) = normalised(), batch()
    box = around(x, 0.1, UNIT)
    drawn = torch.rand(x.shape, generator=torch.Generator().manual_seed(5))
    start = box.lower + drawn * (box.upper - box.lower)
    for steps, length in ((1, 0.1), (3, 0.2)):
        found = Adversary(steps, length).point(step_of(network, x, y, seed=5), box)
        moved = (found - start).abs()
        assert bool((moved <= steps * length * box.radius + 1e-6).all())
        assert moved.max() > 0.9 * length * 0.1


def test_more_steps_climb_higher():
    network, (x, y) = normalised(), batch()
    heights = []
    for steps in (1, 5):
        step = step_of(network, x, y, 0.2)
        found = Adversary(steps, 0.2).point(step, step.box)
        heights.append(F.cross_entropy(outputs(step.bounded, found, step.statistics), y).item())
    assert heights[1] > heights[0] + 0.1


def test_the_attack_leaves_no_gradient_behind():
    network, (x, y) = normalised(), batch()
    step = step_of(network, x, y)
    ONCE.point(step, step.box)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not x.requires_grad


def test_the_attack_is_drawn_from_the_randomness_of_its_step():
    network, (x, y) = normalised(), batch()
    weak = Adversary(1, 0.01)
    box = Box(x, torch.full_like(x, 0.1))
    one, again, other = (weak.point(step_of(network, x, y, seed=seed), box) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", ATTACKING)
def test_running_statistics_move_once_a_step_by_the_clean_batch(name):
    network, plain, (x, y) = normalised(), normalised(), batch()
    plain(x)
    objective(ATTACKING[name]).loss(network, x, y, late()).backward()
    for one, other in zip(network.buffers(), plain.buffers(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    assert int(network[1].num_batches_tracked) == 1


@pytest.mark.parametrize("name", ATTACKING)
def test_a_training_killed_in_an_epoch_goes_on_to_the_same_weights(name, tmp_path):
    class Killed(Exception):
        pass

    def kill(done, total, **facts):
        if done > 1.4:
            raise Killed

    x, y = batch(48)
    task = Task(x, y, x[:0], y[:0], tuple(frozenset((k,)) for k in range(3)), UNIT)
    schedule = Schedule(epochs=3, batch=8, rate=1e-3, average=1)
    trainer = ATTACKING[name].model_copy(update={"schedule": schedule, "ramp": (0.0, 2.0)})
    whole = trainer.fit(normalised(), task, Context())
    ticks = count()
    context = Context(scratch=tmp_path, clock=lambda: 31.0 * next(ticks), progress=kill)
    with pytest.raises(Killed):
        trainer.fit(normalised(), task, context)
    resumed = trainer.fit(normalised(), task, Context(scratch=tmp_path))
    for one, other in zip(resumed.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_before_the_ramp_ends_the_clean_loss_and_the_combination_are_mixed():
    network, (x, y) = normalised(), batch()
    combined = Combined(Ramp(0.1, 0.0, 0, 20), UNIT, ONCE, 0.3, losses)
    share = combined.ramp.progress(15)
    found = combined.loss(network, x, y, Moment(15, 1500, 100, 60, torch.Generator().manual_seed(0)))
    step = step_of(network, x, y, 0.1 * share)
    logits = outputs(step.bounded, ONCE.point(step, step.box), step.statistics)
    expected = (1 - share) * F.cross_entropy(step.logits, y) + share * losses(step, logits, 0.3)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_after_the_ramp_nothing_clean_is_left_unless_asked():
    assert [trainer(eps=0.1, alpha=0.5).kappa for trainer in TRAINERS.values()] == [0, 0, 0]
    assert MtlIbp(eps=0.1, alpha=0.5, kappa=0.25).kappa == 0.25


@pytest.mark.parametrize("options", [{}, {"alpha": 0}, {"alpha": 1.1}, {"alpha": 0.5, "attack_steps": 0}])
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(ValidationError):
        MtlIbp(eps=0.1, **options)
