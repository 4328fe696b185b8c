"""Checkpoints of the training loop: a kill at any moment changes nothing, and none of another training serves."""

import signal
import subprocess
import sys

import pytest
from fitting_toys import SCHEDULES, Drifting, Plain, affine, hasty, history, same, small, task

from hiercls.contracts.checkpoints import CHECKPOINT, HISTORY
from hiercls.contracts.context import Context
from hiercls.contracts.fitting import descend
from hiercls.contracts.schedules import Schedule
from hiercls.words.errors import DataError


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_training_interrupted_at_any_step_ends_with_the_same_weights_and_history(schedule, tmp_path):
    whole = descend(small(), Drifting(), task(), schedule, Context(scratch=tmp_path / "whole"))
    for step in range(12):
        folder = tmp_path / str(step)
        with pytest.raises(KeyboardInterrupt):
            descend(small(), Drifting(dies_at=step), task(), schedule, Context(scratch=folder, clock=hasty()))
        resumed = descend(small(seed=99) if step else small(), Drifting(), task(), schedule, Context(scratch=folder))
        assert same(resumed, whole)
        assert history(folder) == history(tmp_path / "whole")
        assert [row["epoch"] for row in history(folder)] == [1, 2, 3]


def test_a_resume_repeats_no_step_that_a_checkpoint_holds(tmp_path):
    schedule = SCHEDULES["adam"]
    with pytest.raises(KeyboardInterrupt):
        descend(small(), Drifting(dies_at=6), task(), schedule, Context(scratch=tmp_path, clock=hasty()))
    objective = Drifting()
    steps = []
    objective.loss = lambda *given: steps.append(given[3].step) or Drifting.loss(objective, *given)
    descend(small(), objective, task(), schedule, Context(scratch=tmp_path))
    assert steps == list(range(6, 12))


def test_without_time_for_a_checkpoint_the_epoch_is_redone(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        descend(small(), Drifting(dies_at=6), task(), SCHEDULES["adam"], Context(scratch=tmp_path))
    assert [row["epoch"] for row in history(tmp_path)] == [1]


KILLED = """
import sys
from pathlib import Path
from hiercls.contracts import fitting
from hiercls.contracts.context import Context
from tests.fitting_toys import SCHEDULES, Drifting, small, task
fitting.CHECKPOINT_SECONDS = 0.0
class Loud(Drifting):
    def loss(self, *given):
        print(given[3].step, flush=True)
        return super().loss(*given)
fitting.descend(small(), Loud(), task(), SCHEDULES["adam"], Context(scratch=Path(sys.argv[1])))
"""


def test_a_killed_process_leaves_a_training_that_goes_on(tmp_path, request):
    whole = descend(small(), Drifting(), task(), SCHEDULES["adam"], Context(scratch=tmp_path / "whole"))
    folder = tmp_path / "killed"
    for lines in (3, 2, 4):
        command = [sys.executable, "-c", KILLED, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=request.config.rootpath) as process:
            for _ in range(lines):
                assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    assert same(descend(small(), Drifting(), task(), SCHEDULES["adam"], Context(scratch=folder)), whole)
    assert history(folder) == history(tmp_path / "whole")
    assert {file.name for file in folder.iterdir()} == {CHECKPOINT, HISTORY}


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    descend(affine(), Plain(), task(), Schedule(epochs=1), Context(clock=hasty()))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_a_kill_left_unfinished_is_removed(tmp_path):
    left = tmp_path / f".{CHECKPOINT}.4711"
    left.write_bytes(b"half a checkpo")
    descend(small(), Plain(), task(), Schedule(epochs=1), Context(scratch=tmp_path))
    assert not left.exists()


def test_a_finished_training_is_not_trained_again(tmp_path):
    schedule = Schedule(epochs=2)
    first = descend(small(), Plain(), task(), schedule, Context(scratch=tmp_path))
    objective = Plain()
    assert same(descend(small(seed=5), objective, task(), schedule, Context(scratch=tmp_path)), first)
    assert objective.asked == []


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    descend(small(), Plain(), task(), Schedule(epochs=1), Context(scratch=tmp_path))
    for schedule, context in ((Schedule(epochs=2), {}), (Schedule(epochs=1), {"seed": 1})):
        with pytest.raises(DataError, match="a checkpoint of another training; remove it"):
            descend(small(), Plain(), task(), schedule, Context(scratch=tmp_path, **context))


def test_a_damaged_checkpoint_is_told(tmp_path):
    descend(small(), Plain(), task(), Schedule(epochs=1), Context(scratch=tmp_path))
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"checkpoint.safetensors: not a readable checkpoint"):
        descend(small(), Plain(), task(), Schedule(epochs=1), Context(scratch=tmp_path))
