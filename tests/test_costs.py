"""What certifying costs, told before it starts; and the seconds that its rows tell afterwards."""

import json
from dataclasses import replace

import pytest
import torch
from run_toys import smoothed
from torch import nn

from hiercls.cli.progress import TerminalProgress
from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim, Estimate, Estimating
from hiercls.values.heads import restricted
from hiercls.values.views import Inputs
from hiercls.verbs import costs
from hiercls.verbs.assembly import assembled
from hiercls.verbs.certify import Shard, certify
from hiercls.verbs.costs import duration, tell_costs
from hiercls.verbs.stopping import Stop
from hiercls.verbs.train import train
from hiercls.whole.proofs import timeless
from hiercls_plugins.smoothing import engine
from hiercls_plugins.smoothing.certifier import Smoothing

SMOOTHED = smoothed(0.25, 3, "draws: 450, select: 30", 25)

BOUNDED = """
name: bounded
data: {dataset: digits}
nodes: {all: {architecture: linear, trainer: {standard: {schedule: {epochs: 1}}}, certifier: exact-linear}}
threat: {norm: l2, budgets: [0.25]}
certify: {inputs: 5}
"""

HEAD = restricted([frozenset((label,)) for label in range(3)])


class Listener:
    """Progress that keeps its sentences, and how many rows there were before each."""

    def __init__(self):
        self.heard = []

    def __call__(self, done, total, **facts):
        self.heard.append(facts.get("note"))

    @property
    def notes(self):
        return [note for note in self.heard if note is not None]


class Clock:
    """Seconds that pass by the rows of a network, a thousand a second."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Slow(nn.Module):
    def __init__(self, clock):
        super().__init__()
        self.clock = clock
        self.shapes = []

    def __deepcopy__(self, memory):
        return self

    def forward(self, x):
        self.clock.now += len(x) / 1000
        self.shapes.append(len(x))
        return x[:, :3]


def proofs(run):
    return sorted(
        (timeless(json.loads(line)) for part in run.folder.glob("proofs/*/part-*.jsonl") for line in part.open()),
        key=lambda row: row["index"],
    )


@pytest.fixture
def smoothed(opened):
    run = opened(SMOOTHED)
    train(run)
    return run


# --- what is told ---------------------------------------------------------------------------------


def test_the_draws_of_a_new_run_are_told_before_its_first_row(smoothed):
    """25 inputs of 450 draws, and 30 that name the path in each of two systems."""
    listener = Listener()
    certify(smoothed, progress=listener)
    assert listener.heard[0] == "flat: up to 25 inputs, at most 12,750 draws"
    assert listener.notes == listener.heard[:1]
    assert 25 * (450 + 2 * 30) == 12_750
    spent = [max(each["evidence"]["draws"] for each in row["rows"]) for row in proofs(smoothed)]
    assert sum(spent) <= 12_750


def test_only_what_is_left_is_told_and_nothing_when_nothing_is(smoothed):
    certify(smoothed, inputs=7)
    listener = Listener()
    certify(smoothed, progress=listener)
    assert listener.notes == ["flat: up to 18 inputs, at most 9,180 draws"]
    listener = Listener()
    certify(smoothed, progress=listener)
    assert listener.notes == []


def test_inputs_whose_paths_are_known_cost_no_selection(smoothed):
    certify(smoothed)
    for part in smoothed.folder.glob("proofs/*/part-*.jsonl"):
        part.write_text("".join(part.read_text().splitlines(keepends=True)[:20]))
    left = 25 - len(proofs(smoothed))
    listener = Listener()
    certify(smoothed, progress=listener)
    assert left > 0
    assert listener.notes == [f"flat: {left} inputs, at most {450 * left:,} draws"]


def test_a_shard_tells_its_own_inputs(smoothed):
    listener = Listener()
    certify(smoothed, shard=Shard(0, 3), progress=listener)
    assert listener.notes == [f"flat: up to 9 inputs, at most {9 * 510:,} draws"]


def test_provers_that_estimate_nothing_certify_as_before(opened):
    run = opened(BOUNDED)
    train(run)
    listener = Listener()
    assert certify(run, progress=listener) == {"inputs": 5, "finished": 5}
    assert listener.notes == []
    assert not any(isinstance(deployed.prover, Estimating) for deployed in assembled(run).proved_by)


def test_workers_are_told_of_once(smoothed):
    listener = Listener()
    assert certify(smoothed, workers=2, progress=listener)["finished"] == 25
    assert listener.notes == ["flat: up to 25 inputs, at most 12,750 draws"]


# --- how long -------------------------------------------------------------------------------------


def estimate(clock, decided, proved, **options):
    """Of a network that takes a second for a thousand rows."""
    network = Slow(clock)
    prover = Smoothing(sigma=1.0, **options).deploy(network, (HEAD,), "image", Context(clock=clock))
    one = Inputs(torch.tensor([3]), {"image": torch.zeros(1, 5)})
    return prover.estimate(one, decided, proved), network


def test_seconds_are_those_of_all_passes_at_the_rate_of_full_tiles():
    """500 inputs of 1,010 draws in passes of 100 are 1,100 rows each, and 20 more are 30 draws each."""
    found, network = estimate(Clock(), 20, 500, draws=1010, select=30, tile=100)
    assert found.draws == 500 * 1010 + 20 * 30
    assert found.seconds == pytest.approx((500 * 1100 + 20 * 30) / 1000, rel=1e-9)
    assert network.shapes == [100] * 4, "one warm tile and three timed ones"


def test_a_first_tile_that_is_slow_is_not_counted():
    clock = Clock()
    clock.now = 5.0
    seen = []

    class FirstSlow(Slow):
        def forward(self, x):
            self.clock.now += 100.0 if not seen else 0.0
            seen.append(len(x))
            return super().forward(x)

    prover = Smoothing(sigma=1.0, draws=1000, tile=100).deploy(FirstSlow(clock), (HEAD,), "image", Context(clock=clock))
    one = Inputs(torch.tensor([0]), {"image": torch.zeros(1, 5)})
    assert prover.estimate(one, 0, 100).seconds == pytest.approx(100.0)


def test_draws_that_may_stop_early_are_told_at_their_most():
    found, _ = estimate(Clock(), 0, 300, draws=1000, stop="grid", tile=400, block=100)
    assert found.draws == 300_000
    assert found.seconds == pytest.approx(300.0)


def test_little_work_is_not_timed():
    """At 400 tiles the four that are timed are a hundredth."""
    found, network = estimate(Clock(), 0, 399, draws=100, tile=100)
    assert found == Estimate(39_900, None)
    assert network.shapes == []
    assert estimate(Clock(), 0, 400, draws=100, tile=100)[0].seconds == pytest.approx(40.0)


@pytest.mark.parametrize("options", ["", ", stop: grid", ", stop: {tolerance: 0.1}, noise: float32"])
def test_timing_changes_no_row(opened, monkeypatch, options):
    runs = [opened(SMOOTHED.replace("tile: 100", f"tile: 100{options}"), root=name) for name in ("silent", "told")]
    for run in runs:
        train(run)
    monkeypatch.setattr(engine, "WORTH_TIMING", 0)
    certify(runs[0])
    listener = Listener()
    certify(runs[1], progress=listener)
    assert " draws/s)" in listener.notes[0]
    assert len(proofs(runs[1])) > 20
    assert proofs(runs[0]) == proofs(runs[1])


def sentence(run, monkeypatch, shares, cores=8, device="cpu", seconds=7_200.0):
    """What is told of inputs that take a prover so many seconds in one process."""
    listener = Listener()
    assembly = assembled(run, progress=listener)
    assembly = replace(assembly, context=replace(assembly.context, device=device))
    monkeypatch.setattr(costs.os, "cpu_count", lambda: cores)
    monkeypatch.setattr(engine.Smoothed, "estimate", lambda *asked: Estimate(720_000, seconds))
    tell_costs(assembly, [assembly.selected[start:stop] for start, stop in shares], Stop())
    (note,) = listener.notes
    return note.removeprefix("flat: up to 25 inputs, at most 720,000 draws, about ")


def test_processes_share_the_time_as_far_as_there_are_cores_and_inputs(smoothed, monkeypatch):
    def told(shares, **facts):
        return sentence(smoothed, monkeypatch, shares, **facts)

    alone, even = [(0, 25)], [(0, 5), (5, 10), (10, 15), (15, 20), (20, 25)]
    assert told(alone) == "2 h 0 min or less on cpu (100 draws/s)"
    assert told(even) == "24 min or less on cpu in 5 processes (100 draws/s each)"
    assert told(even, cores=2) == "60 min or less on cpu in 2 processes (100 draws/s each)"
    assert told([(0, 20), (20, 25)]) == "1 h 36 min or less on cpu in 2 processes (100 draws/s each)"
    assert told(even, cores=1) == told(alone)
    assert told(even, device="cuda") == "2 h 0 min or less on cuda (100 draws/s)"
    assert told([(0, 25), (25, 25)]) == told(alone), "a process without inputs takes no share"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (90, "90 s"),
        (91, "2 min"),
        (5_400, "90 min"),
        (5_401, "1 h 31 min"),
        (7_750, "2 h 10 min"),
        (172_790, "2 d 0 h"),
        (200_000, "2 d 8 h"),
    ],
)
def test_durations_are_rounded_up(seconds, words):
    assert duration(seconds) == words


def test_a_note_is_a_line_that_stays(capsys, monkeypatch):
    progress = TerminalProgress()
    progress(0, 5, note="flat: 5 inputs, at most 500 draws")
    progress(5, 5, verb="certify")
    assert capsys.readouterr().err.splitlines() == ["flat: 5 inputs, at most 500 draws", "certify · 5 of 5"]
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = TerminalProgress()
    progress(0, 5, note="flat: 5 inputs")
    progress(5, 5, verb="certify")
    assert capsys.readouterr().err == "\r\x1b[Kflat: 5 inputs\n\r\x1b[Kcertify · 5 of 5"


# --- the seconds of rows --------------------------------------------------------------------------


def test_the_seconds_of_rows_sum_to_the_time_that_the_prover_worked(smoothed, monkeypatch):
    """A clock that one claim moves by its index: a row tells what passed since the row before it."""
    clock = Clock()
    real = engine.Smoothed.prove

    def prove(self, claims):
        def slowly():
            for claim in claims:
                assert isinstance(claim, Claim)
                clock.now += 1.0 + claim.index
                yield claim

        return real(self, slowly())

    monkeypatch.setattr(engine.Smoothed, "prove", prove)
    monkeypatch.setattr(Context, "clock", property(lambda self: clock, lambda self, value: None), raising=False)
    certify(smoothed)
    rows = [json.loads(line) for part in smoothed.folder.glob("proofs/*/part-*.jsonl") for line in part.open()]
    assert len(rows) > 20
    assert sum(row["seconds"] for row in rows) == pytest.approx(clock.now)
    assert [row["seconds"] for row in rows] == [1.0 + row["index"] for row in rows]
