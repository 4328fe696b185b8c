"""Averaged weights: what they are, and that not averaging changes nothing."""

import pytest
import torch
from fitting_toys import SCHEDULES, Drifting, Plain, affine, hasty, history, same, small, task
from pydantic import ValidationError
from torch import nn

from hiercls.contracts.averaging import estimate_statistics
from hiercls.contracts.checkpoints import CHECKPOINT, load_checkpoint
from hiercls.contracts.context import Context
from hiercls.contracts.fitting import Stateless, accuracy, descend
from hiercls.contracts.schedules import Schedule
from hiercls.whole.plan import identity
from hiercls.words.errors import DataError
from hiercls_plugins.ibp.trainer import Ibp
from hiercls_plugins.standard.components import Standard


class Watched(Plain):
    """Remembers the weights with which each epoch begins."""

    def __init__(self):
        super().__init__()
        self.begun = []

    def loss(self, network, x, y, moment):
        if moment.step % moment.steps == 0:
            self.begun.append([parameter.detach().clone() for parameter in network.parameters()])
        return super().loss(network, x, y, moment)


def averaging(schedule, start):
    return schedule.model_copy(update={"average": start})


def weights_after_each_epoch(schedule, make=affine):
    """By trainings of other lengths: with a constant rate, those of one epoch more begin with them."""
    watched = Watched()
    descend(make(), watched, task(), schedule.model_copy(update={"epochs": schedule.epochs + 1}), Context())
    return watched.begun[1:]


@pytest.mark.parametrize(("start", "samples"), [(0, 5), (2, 3), (2.5, 2), (4, 1)])
def test_the_weights_are_the_mean_of_those_at_the_ends_of_the_epochs_that_begin_at_the_start_or_later(start, samples):
    schedule = Schedule(epochs=5, batch=8, rate=0.05)
    known = weights_after_each_epoch(schedule)[-samples:]
    fitted = descend(affine(), Plain(), task(), averaging(schedule, start), Context())
    for parameter, *kept in zip(fitted.parameters(), *known, strict=True):
        assert torch.equal(parameter, torch.stack([one.double() for one in kept]).mean(0).float())


def test_averaging_leaves_the_course_of_the_training_alone():
    schedule = Schedule(epochs=4, batch=8, rate=0.05)
    averaged, plain = Watched(), Watched()
    descend(small(), averaged, task(), averaging(schedule, 1), Context())
    descend(small(), plain, task(), schedule, Context())
    for one, other in zip(averaged.begun, plain.begun, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_without_averaging_the_loop_and_its_checkpoint_are_what_they_were(tmp_path):
    schedule = Schedule(epochs=2, batch=8, rate=0.01)
    objective = Plain()
    fitted = descend(small(), objective, task(), schedule, Context(scratch=tmp_path))
    bare = small().train()
    optimizer = torch.optim.Adam(bare.parameters(), lr=0.01)
    for moment, x, y in objective.asked:
        torch.manual_seed(moment.generator.initial_seed())
        optimizer.zero_grad()
        nn.functional.cross_entropy(bare(x), y).backward()
        optimizer.step()
    assert same(fitted, bare), "weights and running statistics"
    assert set(load_checkpoint(tmp_path / CHECKPOINT).groups) == {"network", "optimizer"}


def test_batch_statistics_are_those_of_the_training_inputs_under_the_averaged_weights():
    """With one batch of all examples they are exact; the layer sees neither augmentation nor dropout."""

    def make():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.Dropout(0.5), nn.BatchNorm1d(4), nn.Linear(4, 2))

    schedule = Schedule(epochs=3, batch=26, rate=0.05, augment=("crop", "flip"), average=1)
    fitted = descend(make(), Plain(), task(), schedule, Context())
    found = fitted[1](fitted[0](task().x)).detach()
    assert torch.allclose(fitted[3].running_mean, found.mean(0), atol=1e-6)
    assert torch.allclose(fitted[3].running_var, found.var(0), atol=1e-6)
    assert fitted[3].momentum == 0.1


def test_batches_of_different_sizes_count_by_their_examples():
    norm = nn.BatchNorm1d(2)
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    parts = x.split([20, 7, 3])
    estimate_statistics(norm, parts)
    assert torch.allclose(norm.running_mean, x.mean(0), atol=1e-6)
    variance = sum(len(part) * part.var(0) for part in parts) / 30
    assert torch.allclose(norm.running_var, variance, atol=1e-6)


def test_estimating_statistics_leaves_modes_momenta_and_other_layers_alone():
    network = small().train()
    network[1].momentum = None
    network[2].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    estimate_statistics(network, [task().x])
    assert [layer.training for layer in network] == [True, True, False, True, True, True]
    assert network[1].momentum is None
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


def test_a_norm_without_running_statistics_has_none_to_estimate():
    network = nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False))
    estimate_statistics(network, [torch.rand(4, 2)])
    assert network[0].running_mean is None


def test_weights_that_are_not_trained_stay_bit_for_bit():
    network = affine()
    network[1].bias.requires_grad_(False).fill_(1 / 3)
    fitted = descend(network, Plain(), task(), Schedule(epochs=3, rate=0.1, average=0), Context())
    assert torch.equal(fitted[1].bias, torch.full((2,), 1 / 3))


@pytest.mark.parametrize("name", SCHEDULES)
def test_an_averaged_training_interrupted_at_any_step_ends_with_the_same_weights_and_history(name, tmp_path):
    schedule = averaging(SCHEDULES[name], 1)
    whole = descend(small(), Drifting(), task(), schedule, Context(scratch=tmp_path / "whole"))
    for step in (3, 4, 6, 7, 8, 9, 11):
        folder = tmp_path / str(step)
        with pytest.raises(KeyboardInterrupt):
            descend(small(), Drifting(dies_at=step), task(), schedule, Context(scratch=folder, clock=hasty()))
        resumed = descend(small(seed=99), Drifting(), task(), schedule, Context(scratch=folder))
        assert same(resumed, whole)
        assert history(folder) == history(tmp_path / "whole")


def test_a_finished_averaged_training_is_not_trained_or_averaged_again(tmp_path):
    schedule = Schedule(epochs=3, batch=8, rate=0.05, average=1)
    first = descend(small(), Plain(), task(), schedule, Context(scratch=tmp_path))
    objective = Plain()
    assert same(descend(small(seed=5), objective, task(), schedule, Context(scratch=tmp_path)), first)
    assert objective.asked == []


def test_a_checkpoint_of_a_training_that_averages_otherwise_is_refused(tmp_path):
    descend(small(), Plain(), task(), Schedule(epochs=2, average=1), Context(scratch=tmp_path))
    with pytest.raises(DataError, match="another training"):
        descend(small(), Plain(), task(), Schedule(epochs=2), Context(scratch=tmp_path))


def test_every_row_tells_the_accuracy_of_its_epoch_and_the_last_that_of_the_averaged_weights(tmp_path):
    schedule = Schedule(epochs=4, batch=8, rate=0.3)
    descend(affine(), Plain(), task(), schedule, Context(scratch=tmp_path / "plain"))
    fitted = descend(affine(), Plain(), task(), averaging(schedule, 0), Context(scratch=tmp_path / "averaged"))
    plain, averaged = ([row["accuracy"] for row in history(tmp_path / name)] for name in ("plain", "averaged"))
    assert averaged[:-1] == plain[:-1]
    assert averaged[-1] == accuracy(fitted, task().held_out_x, task().held_out_y, "cpu")


def test_the_mean_of_a_walk_around_the_minimum_lies_nearer_to_it_than_its_end():
    class Bowl(Stateless):
        """Its slope is drawn anew at every step; the minimum is 1."""

        def loss(self, network, x, y, moment):
            pull = torch.randn(2, generator=moment.generator)
            return ((network[1].bias - 1) ** 2 / 2 + pull * network[1].bias).sum()

    schedule = Schedule(epochs=80, batch=26, optimizer="sgd", momentum=0.0, rate=0.5)
    distances = []
    for start in (None, 20):
        fitted = descend(affine(), Bowl(), task(), averaging(schedule, start), Context())
        distances.append((fitted[1].bias - 1).norm().item())
    assert distances[1] < distances[0] / 3


def test_an_average_without_a_sample_is_refused():
    Schedule(epochs=10, average=9)
    with pytest.raises(ValidationError, match="average 9.5 takes no sample; the last epoch begins at 9"):
        Schedule(epochs=10, average=9.5)
    with pytest.raises(ValidationError):
        Schedule(epochs=10, average=-1)


def test_a_training_that_does_not_average_keeps_its_key():
    for trainer in (Ibp(eps=0.1, schedule={"epochs": 50}), Standard(schedule=Schedule(epochs=3))):
        assert "average" not in identity(trainer)["options"]["schedule"]
    assert identity(Ibp(eps=0.1, schedule={"average": 52}))["options"]["schedule"]["average"] == 52
