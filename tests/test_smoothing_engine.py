"""The rows of the smoothing engine: closed forms, the recipe's column, and no neighbour that changes them."""

import numpy as np
import pytest
from scipy.stats import norm
from smoothing_toys import (
    BINARY,
    FLAT,
    LEFT,
    ROOT,
    TREE,
    boundary,
    convolutional_network,
    deployed,
    parts,
    proved,
    random_images,
)

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose
from hiercls.values.heads import restricted
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE
from hiercls_plugins.smoothing.statistics import one_sided, two_sided

images, convolutional = random_images, convolutional_network


def test_a_half_space_has_its_closed_form_radius():
    """P(label 0) = Phi((place - x)/sigma); the exact radius is the distance to the boundary."""
    prover = deployed(boundary(1.0), BINARY, sigma=0.8, draws=20_000)
    row = proved(prover, 0.4, {BINARY: 0})[BINARY]
    assert 0.55 < row.own <= 0.6
    assert row.radii == (0.0, row.own)
    assert row.evidence["draws"] == sum(row.evidence["counts"]) == 20_000
    assert (prover.norm, prover.domain, prover.alpha) == (L2, EVERYWHERE, 0.001)


@pytest.mark.parametrize(("column", "bounds"), [("one-sided", one_sided), ("two-sided", two_sided)])
def test_the_recipe_fixes_the_column_and_the_other_is_evidence(column, bounds, convolutional, images):
    prover = deployed(convolutional, FLAT, sigma=0.5, column=column)
    chosen = int(prover.decide(images[:1], Purpose.SELECT)[FLAT][0])
    row = next(prover.prove([Claim(images[:1], {FLAT: chosen})])).rows[FLAT]
    counts = np.array(row.evidence["counts"])
    expected = bounds(counts, chosen, 0.5, 0.001)
    assert (row.own, row.radii) == (expected.own, tuple(expected.targeted))
    assert row.evidence["lower"] == expected.lower
    assert row.evidence["own"] == {
        "one-sided": one_sided(counts, chosen, 0.5, 0.001).own,
        "two-sided": two_sided(counts, chosen, 0.5, 0.001).own,
    }
    assert row.evidence["column"] == column


def test_a_wrong_choice_certifies_nothing():
    row = proved(deployed(boundary(1.0), BINARY), 0.0, {BINARY: 1})[BINARY]
    assert row.own == 0.0
    assert row.radii == (0.0, 0.0)


def test_rows_do_not_depend_on_batch_order_neighbours_or_heads(convolutional, images):
    heads = (FLAT, *TREE)
    claims = [Claim(images[k : k + 1], dict.fromkeys(heads, 0)) for k in range(len(images))]

    def rows(claims, batch, heads):
        prover = deployed(convolutional, *heads, sigma=0.5, draws=300, tile=64, context=Context(batch=batch))
        return {proof.index: proof.rows for proof in prover.prove(claims)}

    once = rows(claims, 1, heads)
    assert list(once) == images.index.tolist()
    assert once == rows(claims, 512, heads)
    assert once == rows(claims[::-1], 512, heads)
    assert once[43] == rows(claims[3:4], 7, heads)[43]
    assert {index: {ROOT: row[ROOT]} for index, row in once.items()} == rows(claims, 4, (ROOT,))


def test_decisions_do_not_depend_on_the_batch(convolutional, images):
    prover = deployed(convolutional, *TREE, sigma=0.5)
    for purpose in (Purpose.SELECT, Purpose.PREDICT, Purpose.AUDIT):
        together = prover.decide(images, purpose)
        for k in range(len(images)):
            alone = prover.decide(images[k : k + 1], purpose)
            assert all(alone[head][0] == together[head][k] for head in TREE)


def test_proofs_are_yielded_one_by_one_as_claims_are_pulled(images, convolutional):
    pulled = []

    def claims():
        for k in range(4):
            pulled.append(k)
            yield Claim(images[k : k + 1], {ROOT: 0})

    stream = deployed(convolutional, ROOT, draws=10, context=Context(batch=1)).prove(claims())
    next(stream)
    assert pulled == [0]


def test_only_the_decisions_that_a_claim_names_are_proved(convolutional, images):
    elsewhere = restricted(parts([0], [3]))
    prover = deployed(convolutional, *TREE, draws=10)
    proof = next(prover.prove([Claim(images[:1], {ROOT: 0, LEFT: 2, elsewhere: 0})]))
    assert set(proof.rows) == {ROOT, LEFT}
    assert proof.index == 40


def test_radii_are_in_units_of_the_sigma_that_float32_noise_is_scaled_by():
    """0.7 is not a float32: the noise has another standard deviation, and so has the claim."""
    row = proved(deployed(lambda x: (x * 0 + 1, x * 0), BINARY, sigma=0.7), 0.0, {BINARY: 0})[BINARY]
    assert row.evidence["sigma"] == float(np.float32(0.7)) < 0.7
    exact = float(np.float32(0.7)) * norm.ppf(0.001 ** (1 / 2000))
    assert exact * (1 - 1e-12) < row.own <= exact
