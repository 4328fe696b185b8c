"""The draws of the smoothing engine: which key gives which noise, and what is done to it."""

import numpy as np
import torch
from scipy.stats import kstest, norm
from smoothing_toys import (
    BINARY,
    CPU,
    FLAT,
    Watched,
    at,
    boundary,
    convolutional_network,
    deployed,
    proved,
    random_images,
)

from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose, standard_normal

images, convolutional = random_images, convolutional_network


def test_any_other_part_of_the_key_gives_another_stream():
    base = (0, Purpose.SELECT, 7, 2)
    same = standard_normal(*base, (4, 3), CPU)
    assert torch.equal(same, standard_normal(*base, (4, 3), CPU))
    for other in (
        (1, Purpose.SELECT, 7, 2),
        (0, Purpose.ESTIMATE, 7, 2),
        (0, Purpose.SELECT, 8, 2),
        (0, Purpose.SELECT, 7, 3),
        (0, Purpose.SELECT, 2, 7),
    ):
        assert not torch.isclose(same, standard_normal(*other, (4, 3), CPU)).any()


def test_draws_are_standard_normal_up_to_the_tail():
    numbers = standard_normal(0, Purpose.ESTIMATE, 0, 0, (2_000_000,), CPU).double().numpy()
    assert kstest(numbers, "norm").pvalue > 1e-4
    for depth in (3.0, 4.0, 4.5):
        expected = 2 * norm.sf(depth) * len(numbers)
        assert abs((np.abs(numbers) > depth).sum() - expected) < 5 * expected**0.5


def test_selection_and_estimation_see_different_draws():
    prover = deployed(boundary(0.0), BINARY, draws=100, select=100, audit=100)
    seen = Watched(prover).seen
    prover.decide(at(0.0), Purpose.SELECT)
    proved(prover, 0.0, {BINARY: 0})
    prover.decide(at(0.0), Purpose.AUDIT)
    selected, estimated, again, audited = (block.flatten().tolist() for block in seen)
    assert selected == again
    assert len({*selected, *estimated, *audited}) == 300


def test_fewer_draws_are_the_first_of_more():
    counts = {}
    for draws in (1000, 1250):
        prover = deployed(boundary(0.1), BINARY, draws=draws, tile=500)
        counts[draws] = np.array(proved(prover, 0.0, {BINARY: 0})[BINARY].evidence["counts"])
    noise = torch.cat([standard_normal(0, Purpose.ESTIMATE, 0, block, (500, 1), CPU) for block in range(3)])[:, 0]
    for draws, found in counts.items():
        below = int((noise[:draws] <= 0.1).sum())
        assert found.tolist() == [below, draws - below, 0]


def test_noise_is_drawn_and_added_in_float32_whatever_the_network_computes_in(convolutional, images):
    counts = {}
    for precision in ("float32", "bf16"):
        prover = deployed(convolutional, FLAT, draws=500, sigma=0.5, precision=precision)
        watched = Watched(prover)
        counts[precision] = next(prover.prove([Claim(images[:1], {FLAT: 0})])).rows[FLAT].evidence["counts"]
        kind = prover.votes.passes.through(images.views["image"]).dtype
        assert kind == {"float32": torch.float32, "bf16": torch.bfloat16}[precision]
        noise = standard_normal(0, Purpose.ESTIMATE, 40, 0, (500, 1, 6, 6), CPU)
        assert torch.equal(watched.seen[0], images.views["image"][:1] + 0.5 * noise)
    assert np.abs(np.subtract(*counts.values())).sum() < 20


def test_noise_is_never_clipped():
    prover = deployed(boundary(0.0), BINARY)
    drawn = Watched(prover).seen
    proved(prover, 0.5, {BINARY: 0})
    assert torch.cat(drawn).min() < -1
    assert torch.cat(drawn).max() > 2
