"""Training on small boxes around adversarial points."""

import pytest
import torch
from pydantic import ValidationError

from hiercls.contracts.fitting import Moment
from hiercls.testing import TrainerConformance
from hiercls_plugins.bounds.training.adversary import Adversary
from hiercls_plugins.bounds.training.objective import WorstCase, worst_case
from hiercls_plugins.bounds.training.ramp import Ramp
from hiercls_plugins.bounds.training.regulariser import penalty
from hiercls_plugins.sabr.objective import Small, SmallBoxes, small_box
from hiercls_plugins.sabr.trainer import Sabr
from tests.test_expressive import ONCE, SHORT, UNIT, batch, late, linear, linear_worst, normalised, objective, step_of

SHARES = (0.001, 0.3, 0.5, 0.8, 1.0)


class TestSabr(TrainerConformance):
    def make(self):
        return Sabr(eps=0.05, share=0.4, ramp=(1, 6), schedule=SHORT)


def test_share_1_is_ibp():
    network, (x, y) = normalised(), batch()
    ramp = Ramp(0.1, 0.0, 1, 21)
    ibp = WorstCase(ramp, UNIT).loss(network, x, y, late())
    assert objective(Sabr(eps=0.1, share=1.0)).loss(network, x, y, late()).item() == pytest.approx(ibp.item(), rel=1e-5)


@pytest.mark.parametrize("share", SHARES)
def test_on_a_linear_network_the_small_box_at_the_worst_corner_is_as_bad_as_the_ball(share):
    network, (x, y) = linear(), batch(outputs=2)
    loss = objective(Sabr(eps=0.1, share=share)).loss(network, x, y, late())
    assert loss.item() == pytest.approx(linear_worst(network, x, y, 0.1).item(), rel=1e-5)


def test_away_from_the_worst_corner_it_is_better_than_the_ball():
    network, (x, y) = linear(), batch(outputs=2)
    shy = Sabr(eps=0.1, share=0.1, attack_step=0.01)
    assert objective(shy).loss(network, x, y, late()).item() < 0.9 * linear_worst(network, x, y, 0.1).item()


@pytest.mark.parametrize("share", SHARES)
def test_the_small_box_lies_in_the_ball_and_in_the_domain(share):
    network, (x, y) = normalised(), batch()
    assert bool((x == 0).any())
    assert bool((x == 1).any())
    box = small_box(ONCE, step_of(network, x, y), share)
    whole = step_of(network, x, y).box
    assert bool((box.lower >= whole.lower - 1e-6).all())
    assert bool((box.upper <= whole.upper + 1e-6).all())
    assert torch.allclose(box.radius, torch.minimum(torch.tensor(share * 0.1), whole.radius), atol=1e-7)


@pytest.mark.parametrize("share", SHARES[:-1])
def test_no_small_box_is_worse_than_the_ball_that_holds_it(share):
    network, (x, y) = normalised(), batch()
    small, ball = (objective(Sabr(eps=0.1, share=each)).loss(network, x, y, late()).item() for each in (share, 1.0))
    assert small < 0.99 * ball


def test_loss_and_regulariser_see_the_same_box_of_one_attack():
    class Counted(Adversary):
        calls = 0

        def point(self, step, box):
            Counted.calls += 1
            return super().point(step, box)

    network, (x, y) = normalised(), batch()
    boxes = SmallBoxes(Ramp(0.1, 0.0, 0, 20), UNIT, Counted(1, 10.0), 0.3, 0.5)
    share = boxes.ramp.progress(15)
    for seed in (0, 1):
        moment = Moment(15, 1500, 100, 60, torch.Generator().manual_seed(seed))
        found = boxes.loss(network, x, y, moment)
        assert Counted.calls == seed + 1
        step = step_of(network, x, y, 0.1 * share, seed=seed)
        small = Small(step, small_box(ONCE, step, 0.3))
        clean = torch.nn.functional.cross_entropy(step.logits, y)
        expected = (1 - share) * clean + share * worst_case(small.features, y)
        expected = expected + 0.5 * (1 - share) * penalty(small.box, small.features.before_relu)
        assert found.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"share": 0}, {"share": 1.5}, {"share": 0.5, "attack_step": 0}])
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(ValidationError):
        Sabr(eps=0.1, **options)
