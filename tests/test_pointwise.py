"""The easy door: what the framework guarantees around a method's `radii`."""

from math import inf

import pytest
import torch

from hiercls.contracts.context import Context
from hiercls.contracts.pointwise import TILE, Pointwise, in_tiles
from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, Head, retrained
from hiercls.values.views import Inputs
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE

CHILDREN = tuple(frozenset((k,)) for k in range(3))
HEAD = retrained(CHILDREN)


class Margins(Pointwise):
    """Claims the margin of each child as its radius, and remembers the tiles it saw."""

    norm = L2

    def radii(self, network: torch.nn.Module, head: Head, x: torch.Tensor) -> torch.Tensor:
        assert len(x) == TILE
        self.seen = [*getattr(self, "seen", []), len(head.children)]
        scores = head.scores(network(x)).double()
        return scores.amax(dim=1, keepdim=True) - scores


def prover(batch: int = 4096) -> Margins:
    network = torch.nn.Identity().train()
    return Margins(network, (HEAD,), "image", EVERYWHERE, Context(batch=batch))


def inputs(*rows: list[float], allowed: list[list[bool]] | None = None, index: list[int] | None = None) -> Inputs:
    mask = None if allowed is None else torch.tensor(allowed)
    places = torch.arange(len(rows)) if index is None else torch.tensor(index)
    return Inputs(places, {"image": torch.tensor(rows)}, mask, None if mask is None else "location")


def claims(given: Inputs, *chosen: int) -> list[Claim]:
    return [Claim(given[k : k + 1], {HEAD: child}) for k, child in enumerate(chosen)]


def test_the_own_radius_is_the_smallest_of_the_other_children():
    (proof,) = prover().prove(claims(inputs([3.0, 1.0, 2.5]), 0))
    row = proof.rows[HEAD]
    assert row.radii == (0.0, 2.0, 0.5)
    assert row.own == 0.5


def test_a_claim_that_the_deployed_network_does_not_make_has_no_radius():
    (proof,) = prover().prove(claims(inputs([3.0, 1.0, 2.5]), 2))
    assert proof.rows[HEAD].radii == (0.0, 0.0, 0.0)
    assert proof.rows[HEAD].own == 0.0


def test_non_finite_outputs_abstain_and_prove_nothing():
    for bad in (float("nan"), inf):
        given = inputs([3.0, bad, 1.0])
        assert prover().decide(given, Purpose.SELECT)[HEAD].tolist() == [ABSTAIN]
        (proof,) = prover().prove(claims(given, 0))
        assert proof.rows[HEAD].own == 0.0
        assert max(proof.rows[HEAD].radii) == 0.0


def test_nodes_decide_among_allowed_children_and_the_others_are_infinite():
    given = inputs([3.0, 1.0, 2.5], allowed=[[False, True, True]])
    assert prover().decide(given, Purpose.SELECT)[HEAD].tolist() == [2]
    (proof,) = prover().prove(claims(given, 2))
    assert proof.rows[HEAD].radii == (inf, 1.5, 0.0)
    assert proof.rows[HEAD].own == 1.5


def test_the_only_allowed_child_cannot_be_left():
    given = inputs([3.0, 1.0, 2.5], allowed=[[False, True, False]])
    assert prover().decide(given, Purpose.SELECT)[HEAD].tolist() == [1]
    (proof,) = prover().prove(claims(given, 1))
    assert proof.rows[HEAD].radii == (inf, 0.0, inf)
    assert proof.rows[HEAD].own == inf


def test_a_child_that_is_not_allowed_scores_minus_infinity():
    scores = prover().scores(inputs([3.0, 1.0, 2.5], allowed=[[True, False, True]]), 1, 0)[HEAD]
    assert scores.tolist() == [[3.0, -inf, 2.5]]


def test_claims_are_pulled_no_further_ahead_than_the_batch():
    pulled = []

    def stream():
        for claim in claims(inputs(*[[float(k), 0.0, 0.0] for k in range(1, 8)]), *[0] * 7):
            pulled.append(claim.index)
            yield claim

    proofs = prover(batch=3).prove(stream())
    next(proofs)
    assert pulled == [0, 1, 2]


def test_the_given_network_stays_as_it_was():
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout()).train()
    Margins(network, (HEAD,), "image", EVERYWHERE, Context())
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("count", [1, 5, TILE, TILE + 3])
def test_tiles_have_one_shape_and_an_input_keeps_its_place(count: int):
    index = torch.randperm(4 * TILE)[:count]
    x = torch.randn(count, 2)
    seen = []

    def function(tile: torch.Tensor) -> torch.Tensor:
        seen.append(tile.clone())
        return tile.sum(dim=1)

    found = in_tiles(function, x, index)
    assert torch.equal(found, x.sum(dim=1))
    assert all(len(tile) == TILE for tile in seen)
    for place, row in zip((index % TILE).tolist(), x, strict=True):
        assert any(torch.equal(tile[place], row) for tile in seen)


def test_no_inputs_give_no_rows_of_the_right_shape():
    empty = in_tiles(lambda tile: tile[:, :2], torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
    assert empty.shape == (0, 2)
