"""The scores that an attack on a smoothed network climbs."""

import torch
from smoothing_toys import BINARY, CPU, THREE, at, deployed, parts, three_regions

from hiercls.values.draws import Purpose, standard_normal
from hiercls.values.heads import restricted


def test_scores_are_log_probabilities_averaged_over_attack_draws():
    prover = deployed(three_regions, ROOT_OF_THREE := restricted(parts([0, 1], [2])), sigma=0.7)
    inputs = at(0.2, -0.4, start=5)
    found = prover.scores(inputs, 16, 3)[ROOT_OF_THREE]
    for k, index in enumerate(inputs.index.tolist()):
        noise = standard_normal(0, Purpose.ATTACK, index, 3, (16, 1), CPU)[:, 0]
        z = inputs.views["image"][k] + 0.7 * noise
        probability = torch.stack(three_regions(z), dim=1).softmax(dim=1).mean(dim=0)
        expected = torch.stack([probability[0] + probability[1], probability[2]]).log()
        assert torch.allclose(found[k], expected, atol=1e-6)


def test_scores_can_be_climbed_and_lost_draws_do_not_spoil_them():
    prover = deployed(lambda z: (z, torch.where(z > 1, torch.nan, -z)), BINARY)
    x = torch.zeros(3, 1, requires_grad=True)
    scores = prover.scores(at(0.0, 0.0, 0.0).with_view("image", x), 64, 0)[BINARY]
    assert scores.exp().sum(dim=1).lt(1).all(), "a lost draw gives its share to no child"
    clean = deployed(lambda z: (z, -z), BINARY)
    (gradient,) = torch.autograd.grad(
        clean.scores(at(0.0, 0.0, 0.0).with_view("image", x), 64, 0)[BINARY][:, 0].sum(), x
    )
    assert (gradient > 0).all()


def test_scores_of_children_that_are_not_allowed_are_minus_infinity():
    allowed = torch.tensor([[True, False, True], [True, True, False]])
    prover = deployed(three_regions, THREE, BINARY)
    x = torch.zeros(2, 1, requires_grad=True)
    inputs = at(0.0, 0.0, allowed=allowed, allowed_view="location").with_view("image", x)
    scores = prover.scores(inputs, 32, 0)[THREE]
    assert scores.isneginf().tolist() == [[False, True, False], [False, False, True]]
    assert torch.allclose(scores.exp().sum(dim=1), torch.ones(2))
    (gradient,) = torch.autograd.grad(scores[:, 0].sum(), x)
    assert gradient.isfinite().all()
    assert (gradient < 0).all()
