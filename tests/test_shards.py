"""Which inputs a shard and its workers take."""

import pytest
import torch

from hiercls.contracts.pointwise import TILE
from hiercls.verbs.certify import Shard


@pytest.mark.parametrize("count", [0, 1, 7, 500, 2049])
@pytest.mark.parametrize("of", [1, 3])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_input_is_taken_once(count, of, workers):
    selected = torch.randperm(3000, generator=torch.Generator().manual_seed(0))[:count]
    shards = [Shard(number, of, worker, workers) for number in range(of) for worker in range(workers)]
    taken = torch.cat([shard.take(selected) for shard in shards])
    assert sorted(taken.tolist()) == sorted(selected.tolist())
    assert len({shard.part for shard in shards}) == len(shards)


def test_the_workers_of_a_shard_take_its_inputs_alone():
    selected = torch.arange(1000)
    whole = set(Shard(1, 3).take(selected).tolist())
    assert all(set(Shard(1, 3, worker, 2).take(selected).tolist()) <= whole for worker in range(2))


def test_a_worker_fills_the_places_of_a_pass():
    mine = Shard(workers=2).take(torch.arange(8 * TILE))
    assert sorted((mine[:TILE] % TILE).tolist()) == list(range(TILE))


def test_few_inputs_are_shared_evenly():
    assert [len(Shard(worker=worker, workers=2).take(torch.arange(25))) for worker in range(2)] == [13, 12]
