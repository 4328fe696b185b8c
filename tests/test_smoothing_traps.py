"""The two classical traps of smoothed hierarchies: renormalised estimates, and draws that are passed on."""

import numpy as np
import pytest
import torch
from smoothing_toys import (
    ABOVE,
    BELOW,
    BINARY,
    CPU,
    FLAT,
    LEFT,
    RIGHT,
    ROOT,
    TREE,
    at,
    deployed,
    parts,
    proved,
    three_regions,
)
from torch import nn

from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose, standard_normal
from hiercls.values.heads import restricted
from hiercls.values.views import Inputs
from hiercls_plugins.smoothing.statistics import one_sided, two_sided


def test_restricting_is_sound_where_renormalised_estimates_certify_nothing():
    flat, node = restricted(parts([0], [1], [2])), BINARY
    prover = deployed(three_regions, flat, node, draws=50_000)
    rows = proved(prover, 0.0, {flat: 2, node: 0})
    counts = rows[flat].evidence["counts"]
    assert counts[0] / 50_000 == pytest.approx(0.30, abs=0.01)
    assert counts[1] / 50_000 == pytest.approx(0.10, abs=0.01)

    true_radius = (BELOW + ABOVE) / 2
    assert 0.36 < rows[node].own <= true_radius

    claimed = one_sided(np.array([counts[0], counts[1], 0]), 0, 1.0, 0.001).own
    assert claimed > 0.6
    moved = prover.decide(at(0.527), Purpose.AUDIT, alpha=1e-6)[node]
    assert moved.tolist() == [1], "inside the renormalised claim the decision has flipped"
    assert two_sided(np.array(counts), 0, 1.0, 0.001).targeted[1] <= true_radius


def test_every_decision_counts_every_draw_and_not_only_those_passed_on_to_it():
    """Leaf boundary .30 away; conditioned on the parent's branch (1.0 away) its share claims .63."""
    root, leaf = restricted(parts([0, 1], [2])), restricted(parts([0], [1]))

    def routed(z):
        inside = z >= -1.0
        return torch.where(inside, z, z - 1e3), torch.where(inside, -0.6 - z, -0.6 - z), torch.where(inside, -1e4, 1e4)

    prover = deployed(routed, root, leaf, draws=50_000)
    rows = proved(prover, 0.0, {root: 0, leaf: 0})
    assert sum(rows[leaf].evidence["counts"]) == 50_000
    assert 0.28 < rows[leaf].own <= 0.30
    assert 0.97 < rows[root].own <= 1.0

    noise = torch.cat([standard_normal(0, Purpose.ESTIMATE, 0, block, (500, 1), CPU) for block in range(100)])[:, 0]
    passed_on = noise[noise >= -1.0]
    won = int((passed_on >= -0.3).sum())
    claimed = one_sided(np.array([won, len(passed_on) - won, 0]), 0, 1.0, 0.001).own
    assert claimed > 0.6
    assert prover.decide(at(-0.45), Purpose.AUDIT, alpha=1e-6)[leaf].tolist() == [1], "inside the routed claim"


def test_a_restricted_radius_is_never_below_the_flat_one_where_the_answers_agree():
    torch.manual_seed(11)
    network = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 6))
    inputs = Inputs(torch.arange(150), {"image": torch.randn(150, 8) * 2})
    prover = deployed(network, FLAT, *TREE, sigma=0.5, draws=400)
    decided = prover.decide(inputs, Purpose.SELECT)
    leaf = torch.where(decided[ROOT] == 0, decided[LEFT], decided[RIGHT] + 3)
    agrees = (leaf == decided[FLAT]).nonzero().squeeze(1).tolist()
    claims = [
        Claim(
            inputs[k : k + 1], {head: int(decided[head][k]) for head in (FLAT, ROOT, (LEFT, RIGHT)[decided[ROOT][k]])}
        )
        for k in agrees
    ]
    larger = 0
    for proof in prover.prove(claims):
        flat = proof.rows[FLAT].own
        tree = min(row.own for head, row in proof.rows.items() if head is not FLAT)
        assert tree >= flat
        larger += tree > flat
    assert len(agrees) > 100
    assert larger > 20
