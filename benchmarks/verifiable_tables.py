"""The tables as values: what is measured of every row and seed, and the trainings that are left."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import verifiable_costs as costs
import verifiable_page as pages
from verifiable_costs import Kind, Timing, Work
from verifiable_published import GOAL
from verifiable_runs import (
    Bench,
    halved,
    history,
    identity,
    largest,
    measured,
    missing,
    needed,
    networks_of,
    sized,
    too_wrong,
    unfrozen,
)
from verifiable_settings import LEAST_EPOCHS, Row, Setting
from verifiable_truth import by_truth

from hiercls.whole.data import Data
from hiercls.whole.plan import Job
from hiercls.whole.runs import Run, environment
from hiercls.words.errors import DataError


@dataclass
class Cell:
    """One row of one seed.

    Attributes:
        figures: the columns in percent; None where they are not to be shown.
        tighter: the verified inter-group error of a flat network by the tighter rule.
        earlier: whether the figures are those of an earlier invocation, whose networks are not here.
        left: the trainings that it needs and no earlier cell counts.
        why_not: why it is not run, where more than time is missing.
    """

    row: Row
    seed: int
    epochs: Mapping[str, int]
    training_seconds: float
    left: Sequence[Work]
    why_not: str
    figures: tuple[float, ...] | None = None
    tighter: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    certifying_seconds: float = 0.0
    earlier: bool = False

    def kept(self) -> dict[str, Any]:
        """What is told again of it on another day."""
        return {
            "epochs": dict(self.epochs),
            "training seconds": self.training_seconds,
            "figures": self.figures,
            "tighter": self.tighter,
            "metrics": dict(self.metrics),
            "environment": environment(),
        }


@dataclass
class Table:
    """One setting and its cells.

    Attributes:
        counted: the trainings that stand in some cell already, over all tables.
    """

    setting: Setting
    rows: Sequence[Row]
    seeds: Sequence[int]
    counted: set[str]
    cells: list[Cell] = field(default_factory=list)
    largest: int = 0
    trouble: str = ""

    def fill(self, bench: Bench) -> None:
        """Measure what is trained; a data set that is not there is said in the table."""
        try:
            for seed in self.seeds:
                for row in self.rows:
                    self._add(bench, row, seed)
                    for other in tried(bench, self.setting, seed):
                        self._count(other.run(self.setting, row, seed), bench)
        except DataError as error:
            self.trouble = str(error)

    def _add(self, bench: Bench, row: Row, seed: int) -> None:
        run = bench.run(self.setting, row, seed)
        self.largest = max(self.largest, largest(run, self.setting))
        wanted = missing(run, self.setting, bench.runs)
        self.trouble = self.trouble or too_wrong(bench, run, self.setting)
        why_not = unfrozen(run, row)
        jobs = run.plan().jobs
        epochs = {name: epochs_of(jobs[name]) for name in needed(run, self.setting)}
        known = bench.memory.cell(run, row.name)
        if wanted and known:
            told = (known["epochs"], known["training seconds"], (), "", tuple(known["figures"]), known["tighter"])
            self.cells.append(Cell(row, seed, *told, known["metrics"], earlier=True))
            return
        seconds, left = self._count(run, bench)
        if why_not or run.known_tree() is None:
            left += self._count(bench.run(self.setting, row, seed, halved(run)), bench)[1]
        cell = Cell(row, seed, epochs, seconds, left, why_not)
        if not (wanted or why_not or self.trouble) and (bench.small or min(epochs.values()) >= LEAST_EPOCHS):
            cell.metrics, cell.certifying_seconds = measured(run, row)
            cell.figures, cell.tighter = figures(run, self.setting, row, cell.metrics)
            bench.memory.keep(run, row.name, cell.kept())
        self.cells.append(cell)

    def _count(self, run: Run, bench: Bench) -> tuple[float, list[Work]]:
        """Seconds and remainders of the trainings that no earlier cell needs."""
        networks, total, left = networks_of(run), 0.0, []
        for name in needed(run, self.setting):
            job, itself = networks.jobs[name], identity(networks, name)
            if itself in self.counted:
                continue
            self.counted.add(itself)
            seconds, kind, work = history(networks, name), kind_of(run.data, job), work_of(run.data, job)
            total += sum(seconds)
            if seconds:
                bench.memory.timed(itself, Timing(kind, work, len(seconds), sum(seconds)))
            if not networks.trained(name):
                left.append(Work(kind, work, epochs_of(job) - len(seconds)))
        return total, left

    def shown(self, known: Mapping[Kind, float]) -> dict[str, Any]:
        """The table for people and for programs.

        Args:
            known: seconds for a unit of work, by kind of training.
        """
        setting = self.setting
        rows = [self._row(row, known) for row in self.rows]
        return {
            "name": setting.name,
            "title": setting.title,
            "source": setting.source,
            "columns": list(setting.columns),
            "beside": list(setting.beside),
            "flat rule": any(row.flat for row in setting.rows),
            "same data": setting.same_data,
            "largest network": self.largest,
            "most parameters": setting.most_parameters,
            "trouble": self.trouble,
            "goal": pages.goal(rows, GOAL) if setting.has_goal else "",
            "rows": rows,
        }

    def _row(self, row: Row, known: Mapping[Kind, float]) -> dict[str, Any]:
        cells = [cell for cell in self.cells if cell.row == row]
        done = [cell for cell in cells if cell.figures is not None]
        left = costs.estimate([each for cell in cells for each in cell.left], known)
        return {
            "name": row.name,
            "against": row.against or row.name,
            "published": row.published,
            "asked seeds": len(self.seeds),
            "seeds": [cell.seed for cell in done],
            "of an earlier day": [cell.seed for cell in done if cell.earlier],
            "figures": [cell.figures for cell in done],
            "tighter": [cell.tighter for cell in done if cell.tighter is not None],
            "beside": [[100 * cell.metrics[metric] for metric in self.setting.beside.values()] for cell in done],
            "metrics": {cell.seed: cell.metrics for cell in done},
            "epochs": cells[0].epochs if cells else {},
            "training seconds": round(sum(cell.training_seconds for cell in cells), 1),
            "certifying seconds": round(sum(cell.certifying_seconds for cell in cells), 1),
            "hours left": None if left is None else round(left.hours, 3),
            "basis": 0 if left is None else left.basis,
            "why not": self.trouble or next((cell.why_not for cell in cells if cell.why_not), ""),
        }


def tried(bench: Bench, setting: Setting, seed: int) -> Iterator[Bench]:
    """The trials of a few epochs that lie beside the runs of a setting, for their seconds."""
    if bench.suffix:
        return
    begin = f"{setting.run_name(seed)}-epochs-"
    for folder in sorted(path for path in bench.runs.glob(f"{begin}*") if path.is_dir()):
        yield Bench(bench.runs, bench.device, int(folder.name.removeprefix(begin)))


def figures(
    run: Run, setting: Setting, row: Row, metrics: Mapping[str, float]
) -> tuple[tuple[float, ...], float | None]:
    """The columns of a row in percent, by the paper's rule; and what the tighter rule gives for a flat network."""
    outer = setting.columns[OUTER]
    ruled = {**metrics, outer: by_truth(run, row.flat, setting.outer)} if row.flat else metrics
    shown = tuple(100 * ruled[metric] for metric in setting.columns.values())
    return shown, 100 * metrics[outer] if row.flat else None


OUTER = "verified inter-group error"


def epochs_of(job: Job) -> int:
    epochs = job.trainer.model_dump()["schedule"]["epochs"]
    assert isinstance(epochs, int)
    return epochs


def kind_of(data: Data, job: Job) -> Kind:
    return Kind(f"{job.architecture!r} on {data.dataset.views()[job.view]}", type(job.trainer).__name__)


def work_of(data: Data, job: Job) -> float:
    """Examples of an epoch times multiplications of a forward pass; nothing is held out in these settings."""
    count = data.train.truth.bincount().tolist()
    return float(sum(count[label] for part in job.parts for label in part) * sized(data, job)[1])
