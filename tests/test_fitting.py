"""The training loop: what it computes, what it refuses, and what it tells."""

from itertools import count

import pytest
import torch
from fitting_toys import PARTS, Plain, affine, examples, history, same, small, task
from pydantic import ValidationError
from torch import nn
from torch.nn.functional import cross_entropy

from hiercls.contracts.components import Task
from hiercls.contracts.context import Context
from hiercls.contracts.fitting import Stateless, accuracy, descend
from hiercls.contracts.schedules import Schedule, Steps
from hiercls.words.errors import DataError, HierclsError
from hiercls.words.threats import Domain
from hiercls_plugins.datasets.digits import Digits
from hiercls_plugins.standard.components import Standard


def test_the_loop_is_plain_gradient_descent():
    schedule = Schedule(epochs=2, batch=10, optimizer="sgd", momentum=0.5, rate=0.1, weight_decay=0.01)
    objective = Plain()
    fitted = descend(affine(), objective, task(), schedule, Context())
    bare = affine()
    optimizer = torch.optim.SGD(bare.parameters(), lr=0.1, momentum=0.5, weight_decay=0.01)
    for _, x, y in objective.asked:
        optimizer.zero_grad()
        cross_entropy(bare(x), y).backward()
        optimizer.step()
    assert same(fitted, bare)
    assert not fitted.training


def test_every_epoch_visits_every_example_once_in_a_new_order():
    objective = Plain()
    given = task()
    descend(affine(), objective, given, Schedule(epochs=2, batch=8), Context())
    moments = [moment for moment, _, _ in objective.asked]
    assert [len(y) for _, _, y in objective.asked] == [8, 8, 8, 2] * 2
    assert [(moment.epoch, moment.step) for moment in moments] == [(k // 4, k) for k in range(8)]
    assert moments[5].passed == 1.25
    first, second = (torch.cat([x for _, x, _ in objective.asked[k : k + 4]]) for k in (0, 4))
    assert not torch.equal(first, second)
    for visited in (first, second):
        assert torch.equal(visited.flatten(1).sum(1).sort().values, given.x.flatten(1).sum(1).sort().values)


def test_every_step_has_randomness_of_its_own():
    objective = Plain()
    descend(affine(), objective, task(), Schedule(epochs=3, batch=13), Context())
    drawn = [float(torch.rand(1, generator=moment.generator)) for moment, _, _ in objective.asked]
    assert len(set(drawn)) == 6


def test_a_last_batch_of_one_example_is_left_out():
    objective = Plain()
    descend(small(), objective, task(number=17), Schedule(epochs=1, batch=8), Context())
    assert [len(y) for _, _, y in objective.asked] == [8, 8]


def test_clipping_bounds_the_step():
    class Steep(Plain):
        def loss(self, network, x, y, moment):
            return 1e4 * super().loss(network, x, y, moment)

    before, after = affine(), affine()
    schedule = Schedule(epochs=1, batch=26, optimizer="sgd", momentum=0.0, rate=1.0, clip=0.25)
    descend(after, Steep(), task(), schedule, Context())
    moved = torch.cat([(a - b).flatten() for a, b in zip(after.parameters(), before.parameters(), strict=True)])
    assert float(moved.detach().norm()) == pytest.approx(0.25, rel=1e-4)


def test_half_precision_reaches_the_network_and_not_the_weights():
    seen = []

    class Watching(Stateless):
        def loss(self, network, x, y, moment):
            logits = network(x)
            seen.append(logits.dtype)
            return cross_entropy(logits.float(), y)

    fitted = descend(affine(), Watching(), task(), Schedule(epochs=1, precision="bf16"), Context())
    assert seen == [torch.bfloat16]
    assert all(parameter.dtype == torch.float32 for parameter in fitted.parameters())


def test_the_rate_warms_up_and_decays():
    stepped = Schedule(epochs=4, rate=0.8, warmup=0.5, decay=Steps(at=(2, 3), by=0.5))
    assert [stepped.rate_at(step, 4) for step in (0, 1, 2, 7, 8, 12)] == pytest.approx([0.4, 0.8, 0.8, 0.8, 0.4, 0.2])
    cosine = Schedule(epochs=4, rate=0.8, decay="cosine")
    assert [cosine.rate_at(step, 4) for step in (0, 8, 16)] == pytest.approx([0.8, 0.4, 0.0])


def test_the_rate_of_the_schedule_is_the_rate_of_the_step():
    schedule = Schedule(epochs=2, batch=13, optimizer="sgd", momentum=0.0, rate=1.0, decay=Steps(at=(1,), by=0.1))

    class Constant(Stateless):
        def loss(self, network, x, y, moment):
            return network[1].bias.sum()

    fitted = descend(affine(), Constant(), task(), schedule, Context())
    assert torch.allclose(affine()[1].bias - fitted[1].bias, torch.full((2,), 2.2))


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.5},
        {"nesterov": True},
        {"optimizer": "sgd", "nesterov": True, "momentum": 0},
        {"decay": {"at": [3, 2]}},
        {"decay": {"at": []}},
        {"epochs": 0},
        {"rates": 1.0},
    ],
)
def test_a_schedule_that_cannot_mean_anything_is_refused(options):
    with pytest.raises(ValidationError):
        Schedule(**options)


def test_a_loss_that_is_not_finite_is_told_with_epoch_and_step():
    class Broken(Plain):
        def loss(self, network, x, y, moment):
            return super().loss(network, x, y, moment) * (torch.nan if moment.step == 5 else 1.0)

    with pytest.raises(HierclsError, match="the loss is not finite at epoch 2, step 2"):
        descend(affine(), Broken(), task(), Schedule(epochs=3, batch=8), Context())


def test_a_weight_that_is_not_finite_is_told():
    class Infinite(Plain):
        def loss(self, network, x, y, moment):
            return (network[1].bias - network[1].bias.detach()).abs().sqrt().sum()  # 0, with an infinite slope

    with pytest.raises(HierclsError, match="a weight is not finite at epoch 1, step 1"):
        descend(affine(), Infinite(), task(), Schedule(epochs=1), Context())


def test_training_on_nothing_is_refused():
    x, y = examples()
    with pytest.raises(DataError, match="no training examples"):
        descend(affine(), Plain(), Task(x[:0], y[:0], x, y, PARTS, Domain()), Schedule(), Context())


def test_history_tells_mean_loss_and_held_out_accuracy(tmp_path):
    objective = Plain()
    given = task()
    schedule = Schedule(epochs=1, batch=8, optimizer="sgd", momentum=0.0, rate=1e-12)
    fitted = descend(affine(), objective, given, schedule, Context(scratch=tmp_path))
    right = [int(fitted(x[None]).argmax() == y) for x, y in zip(given.held_out_x, given.held_out_y, strict=True)]
    (row,) = history(tmp_path)
    assert row["accuracy"] == sum(right) / len(right)
    assert row["loss"] == pytest.approx(float(cross_entropy(affine()(given.x), given.y).detach()), rel=1e-5)


def test_without_held_out_examples_the_accuracy_is_unknown(tmp_path):
    descend(affine(), Plain(), task(held_out=0), Schedule(epochs=1), Context(scratch=tmp_path))
    assert history(tmp_path)[0]["accuracy"] is None


def test_training_leaves_threads_and_global_randomness_as_they_were():
    threads = torch.get_num_threads()
    torch.manual_seed(1)
    expected = torch.rand(1)
    network = small()
    torch.manual_seed(1)
    descend(network, Plain(), task(), Schedule(epochs=1), Context(threads=threads + 1))
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_seed_decides_the_training():
    first, again, other = (
        descend(affine(), Plain(), task(), Schedule(epochs=1, batch=4), Context(seed=s)) for s in (0, 0, 1)
    )
    assert same(first, again)
    assert not same(first, other)


def test_progress_is_told_in_epochs_with_the_time_left():
    told = []
    ticks = count()
    context = Context(clock=lambda: float(next(ticks)), progress=lambda *given, **facts: told.append((given, facts)))
    descend(affine(), Plain(), task(), Schedule(epochs=2, batch=13), context)
    assert [given for given, _ in told] == [(0.5, 2), (1.0, 2), (1.5, 2), (2.0, 2), (2.0, 2)]
    assert told[0][1]["eta"] > told[2][1]["eta"] > 0
    assert {"loss", "accuracy", "eta"} <= set(told[-1][1])


def test_accuracy_leaves_the_mode_of_the_network_alone():
    network = small().train()
    x, y = examples()
    accuracy(network, x, y, "cpu")
    assert network.training


def test_the_standard_trainer_learns_digits():
    dataset = Digits()
    train, test = dataset.load("train", None), dataset.load("test", None)
    given = Task(train.views["image"], train.truth, test.views["image"], test.truth, (), Domain())
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    fitted = Standard(schedule=Schedule(epochs=15, batch=64, rate=3e-3)).fit(network, given, Context())
    assert accuracy(fitted, given.held_out_x, given.held_out_y, "cpu") > 0.95
