"""Noise in float32 and on a grid: its law, the slack that it is charged, and where it is refused."""

import numpy as np
import pytest
import torch
from modes_toys import HEADS, Half, claims, deployed, nine_images, normed_network, rows
from scipy.stats import binom, kstest, norm
from smoothing_toys import BINARY, FLAT

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose
from hiercls.values.views import Inputs
from hiercls.words.errors import ConfigurationError, OutsideDomain
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE, Domain, Threat
from hiercls_plugins.smoothing.certifier import Smoothing
from hiercls_plugins.smoothing.sequential import tail_slack
from hiercls_plugins.smoothing.sources import Narrow, Stepped
from hiercls_plugins.smoothing.statistics import confirms, one_sided, two_sided

network, images = normed_network, nine_images

STEPS = Domain("grid", 0.0, 1.0, 255)


def test_float32_draws_are_normal_and_no_two_draws_share_a_pair():
    source = Narrow(0, 1.0)
    block = source.noisy(torch.zeros(1, 5), Purpose.ESTIMATE, 0, 0, 50_000)
    assert kstest(block.flatten().numpy(), "norm").pvalue > 1e-4
    whole = source.noisy(torch.zeros(1, 16), Purpose.ESTIMATE, 0, 0, 50_000)
    assert torch.equal(block, whole[:, :5])
    assert block.abs().max() < 5.768


def test_slack_is_charged_to_every_bound_and_test():
    counts = np.array([900, 60, 40, 0])
    for bounds in (one_sided, two_sided):
        free, charged = bounds(counts, 0, 1.0, 0.001), bounds(counts, 0, 1.0, 0.001, 0.01)
        assert charged.lower == pytest.approx(free.lower - 0.01)
        assert charged.own < free.own
        assert all(charged.targeted[1:] < free.targeted[1:])
    assert one_sided(counts, 0, 1.0, 0.001, 0.01).own == pytest.approx(norm.ppf(free.lower - 0.01), abs=0.01)
    assert confirms(np.array([560, 440, 0]), 0, 0.001)
    assert not confirms(np.array([560, 440, 0]), 0, 0.001, 0.05)


def test_a_candidate_with_slack_is_confirmed_at_most_alpha_often_at_the_worst_lead_that_slack_allows():
    """Draws in which the wrong child leads by 2 slack; exact over both counts."""
    draws, slack, alpha = 200, 0.02, 0.05
    for share in (0.1, 0.3, 0.5):
        wrong = 0.0
        for won in range(draws + 1):
            chance = binom.pmf(won, draws, share + slack)
            if chance < 1e-12:
                continue
            others = np.arange(draws - won + 1)
            against = binom.pmf(others, draws - won, (share - slack) / (1 - share - slack))
            sure = [confirms(np.array([won, k, draws - won - k]), 0, alpha, slack) for k in others]
            wrong += chance * against[sure].sum()
        assert wrong <= alpha


def test_float32_rows_record_their_slack_and_claim_less(network, images):
    prover = deployed(network, noise="float32", sigma=0.5)
    claim = claims(prover, images)[0]
    row = rows(prover, [claim])[40][FLAT]
    assert row.evidence["slack"] == tail_slack(36) > 0
    counts = np.array(row.evidence["counts"])
    assert row.own == one_sided(counts, row.chosen, 0.5, 0.001, tail_slack(36)).own


def test_float32_draws_of_an_unmeasured_device_are_refused(network):
    from hiercls_plugins.smoothing.sources import source

    with pytest.raises(ConfigurationError, match="how cuda cuts the tails of float32 draws is not measured"):
        source("float32", 0, 0.5, EVERYWHERE, torch.device("cuda"))


def test_grid_noise_has_the_masses_of_a_rounded_normal():
    source, sigma = Stepped(0, 0.02, STEPS), 0.02 * 255
    x = torch.tensor([[100 / 255]])
    found = source.noisy(x, Purpose.ESTIMATE, 0, 0, 200_000)
    steps = (found.double() * 255).round()
    assert torch.equal((steps / 255).float(), found), "every noisy input is a grid point, exactly"
    for step in range(-12, 13):
        mass = norm.cdf((step + 0.5) / sigma) - norm.cdf((step - 0.5) / sigma)
        seen = int((steps == 100 + step).sum())
        assert binom.ppf(1e-7, 200_000, mass) <= seen <= binom.isf(1e-7, 200_000, mass)
    assert 0 < source.slack(3072) < 1e-6


def test_grid_noise_is_named_by_more_than_the_32_bits_that_torch_reads_of_a_seed(monkeypatch):
    """Any two seeds that torch's generator on a CPU takes for one; numpy's own generator as the oracle."""
    bits = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5 + 2**32)
    assert torch.equal(*(torch.randn(8, generator=each) for each in bits)), "torch still reads 32 bits"
    source, x = Stepped(3, 0.5, STEPS), torch.full((1, 2), 100 / 255)
    key = np.random.SeedSequence(entropy=3, spawn_key=(Purpose.ESTIMATE.value, 7, 2))
    uniform = (np.random.SFC64(key).random_raw(2000) >> np.uint64(1)) / 2.0**63
    expected = np.rint(norm.ppf(uniform) * 0.5 * 255).reshape(1000, 2)
    found = (source.noisy(x, Purpose.ESTIMATE, 7, 2, 1000).double() * 255).round() - 100
    assert torch.equal(found, torch.from_numpy(expected))


def test_grid_noise_is_never_clipped_and_certifies_on_the_grid_alone():
    domain = Threat(L2, domain=STEPS)
    prover = deployed(Half(1.0), (BINARY,), noise="grid", sigma=0.5, context=Context(threat=domain))
    assert prover.domain == STEPS
    inputs = Inputs(torch.arange(1), {"image": torch.full((1, 4), 128 / 255)})
    assert prover.votes.source.noisy(inputs.views["image"], Purpose.SELECT, 0, 0, 500).min() < -0.5
    row = rows(prover, [Claim(inputs, {BINARY: 0})])[0][BINARY]
    assert 0.8 < row.own <= (1.0 - 128 / 255) * 2 + 1 / 255
    with pytest.raises(OutsideDomain, match="do not lie on the declared grid"):
        prover.decide(Inputs(torch.arange(1), {"image": torch.full((1, 4), 0.5)}), Purpose.SELECT)


def test_grid_noise_off_the_grid_is_refused(network):
    smoothing = Smoothing(sigma=0.5, noise="grid")
    assert "noise: grid speaks of inputs on a grid" in smoothing.refusal(Threat(L2))
    assert smoothing.refusal(Threat(L2, domain=STEPS)) is None
    with pytest.raises(ConfigurationError, match="grid noise needs"):
        smoothing.deploy(network, HEADS, "image", Context())
