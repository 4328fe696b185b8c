"""The same rows of the smoothing engine, however they are computed: tiles, batches, shards, a full device."""

import json

import pytest
import torch
from modes_toys import GRID, HEADS, Half, claims, deployed, nine_images, normed_network, rows
from smoothing_toys import BINARY, LEFT
from torch import nn

from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose
from hiercls.values.views import Inputs
from hiercls.words.errors import DeviceError
from hiercls_plugins.smoothing.sequential import looks

network, images = normed_network, nine_images


@pytest.mark.parametrize(
    "options",
    [
        {"stop": GRID},
        {"stop": {"tolerance": 0.1}, "block": 50, "tile": 250},
        {"stop": GRID, "column": "two-sided", "tile": 300},
        {"stop": GRID, "rule": "pairwise", "tile": 300},
        {"block": 100, "tile": 400, "draws": 950},
    ],
)
def test_rows_do_not_depend_on_batch_order_neighbours_heads_or_shards(network, images, options):
    def found(pick=slice(None), batch=4096, heads=HEADS):
        prover = deployed(network, context=Context(batch=batch), **options)
        return rows(prover, claims(prover, images, heads)[pick])

    whole = found()
    assert whole == found(batch=1)
    assert whole == found(slice(None, None, -1), batch=3)
    assert whole == found(slice(0, None, 2)) | found(slice(1, None, 2)), "two shards"
    assert {index: {LEFT: row[LEFT]} for index, row in whole.items()} == found(heads=(LEFT,))
    assert json.loads(json.dumps([dict(row.evidence) for row in whole[44].values()]))


def test_counts_at_every_look_are_of_exactly_the_first_draws(network, images):
    """Against a fixed number of draws, for every look of a stopped row; blocks have the same shape in both."""
    prover = deployed(network, stop=GRID)
    claim = claims(prover, images)[1]
    for head, row in rows(prover, [claim])[41].items():
        told = row.evidence
        assert told["looks"] == list(looks(2000, 100, step=100))
        assert told["draws"] == told["looks"][len(told["seen"]) - 1]
        for draws, seen in zip(told["looks"], told["seen"], strict=False):
            fixed = deployed(network, draws=draws, block=100, layout="channels-last")
            assert rows(fixed, [claim])[41][head].evidence["counts"][row.chosen] == seen


def test_a_tile_of_many_inputs_counts_what_a_plain_loop_counts():
    """Each input is near another boundary value, so that a swapped place would show."""
    places = [(0.1 * k, k) for k in range(7)]
    inputs = Inputs(torch.arange(7), {"image": torch.tensor([[place] for place, _ in places])})
    prover = deployed(Half(0.3), (BINARY,), sigma=1.0, draws=630, block=50, tile=200)
    found = rows(prover, [Claim(inputs[k : k + 1], {BINARY: 0}) for k in range(7)])
    for place, k in places:
        noise = torch.cat([prover.votes.source.noisy(torch.zeros(1, 1), Purpose.ESTIMATE, k, b, 50) for b in range(13)])
        below = int((torch.tensor(place) + noise[:, 0] <= 0.3)[:630].sum())
        assert found[k][BINARY].evidence["counts"] == [below, 630 - below, 0]


def test_decisions_of_mixed_tiles_are_those_of_single_ones(network, images):
    for rule in ("plurality", "pairwise"):
        mixed = deployed(network, rule=rule, block=100, tile=400)
        single = deployed(network, rule=rule, tile=100)
        for purpose in (Purpose.SELECT, Purpose.PREDICT):
            one, other = mixed.decide(images, purpose), single.decide(images, purpose)
            assert all(torch.equal(one[head], other[head]) for head in HEADS)


def test_claims_are_pulled_no_further_ahead_than_the_batch_and_refilled(network, images):
    prover = deployed(network, stop=GRID, tile=400, context=Context(batch=3))
    asked, pulled = claims(prover, images), []

    def handed():
        for claim in asked:
            pulled.append(claim.index)
            yield claim

    for finished, _ in enumerate(prover.prove(handed())):
        assert len(pulled) - finished <= 3
    assert len(pulled) == 9


def test_an_input_goes_on_until_every_node_has_decided_and_each_keeps_its_own_stop(network, images):
    prover = deployed(network, stop=GRID)
    asked = claims(prover, images)
    stops = [{row.evidence["draws"] for row in found.values()} for found in rows(prover, asked).values()]
    assert any(len(each) > 1 for each in stops), "some path has nodes that stop at different looks"


class Cramped(nn.Module):
    """Has room for so many rows."""

    def __init__(self, network, room):
        super().__init__()
        self.network, self.room = network, room

    def forward(self, x):
        if len(x) > self.room:
            raise torch.OutOfMemoryError("no room")
        return self.network(x)


def test_a_full_device_gets_smaller_passes_with_the_same_draws_and_rows_say_so(network, images):
    roomy, cramped = (deployed(network, stop=GRID, tile=400) for _ in range(2))
    cramped.votes.passes.network = Cramped(cramped.votes.passes.network, 120)
    asked = claims(roomy, images)
    found, whole = rows(cramped, asked), rows(roomy, asked)
    for index, row in found.items():
        for head, each in row.items():
            told = dict(each.evidence)
            assert told.pop("passes a tile") == 4
            assert told == whole[index][head].evidence


def test_no_room_for_one_draw_is_an_error(network, images):
    prover = deployed(network)
    prover.votes.passes.network = Cramped(network, 0)
    with pytest.raises(DeviceError, match="cpu has no room for one draw of one input"):
        prover.decide(images[:1], Purpose.SELECT)
