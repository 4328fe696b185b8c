"""Tables 1, 2 and 3 of the pairwise-similarity paper (AAAI 2021), ours beside the published figures.

    HIERCLS_DATA=... python benchmarks/verifiable_training.py --size small --setting fashion-0.1
    HIERCLS_DATA=... python benchmarks/verifiable_training.py --train-only --hours 8
    HIERCLS_DATA=... python benchmarks/verifiable_training.py --no-train

Networks are trained one after another in a fixed order; what is trained, also by another run of this benchmark, is not
trained again, so the same command goes on another day. Measured cells stay in the JSON file: where their networks are
not any more, they are told again, as those of an earlier invocation, until their recipe changes. A cell that was not
run prints the hours that it needs, and no cell shows a network of fewer than 20 epochs: `--epochs N` tries the
trainings and writes their seconds elsewhere.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import verifiable_costs as costs
import verifiable_page as pages
from variants import train_told
from verifiable_memory import Memory
from verifiable_runs import (
    SMALL_EPOCHS,
    SMALL_TEST,
    SMALL_TRAINING,
    Bench,
    largest,
    missing,
    too_wrong,
    unfrozen,
)
from verifiable_settings import SETTINGS, Row, Setting
from verifiable_tables import Table

from hiercls.verbs.memory import keep_freed_memory
from hiercls.whole.runs import environment
from hiercls.words.errors import DataError, HierclsError

OUTPUT = Path("docs/results/verifiable-training")


@dataclass(frozen=True)
class Asked:
    """The tables that are asked for, with their rows and seeds; None for all of them."""

    settings: Sequence[Setting]
    rows: Sequence[str] | None
    seeds: Sequence[int] | None

    def cells(self) -> Iterator[tuple[Setting, int, Row]]:
        """Every row of every seed, in the order of training."""
        for setting in self.settings:
            for seed in self.seeds_of(setting):
                for row in self.rows_of(setting):
                    yield setting, seed, row

    def seeds_of(self, setting: Setting) -> Sequence[int]:
        return self.seeds or setting.seeds

    def rows_of(self, setting: Setting) -> Sequence[Row]:
        return [row for row in setting.rows if self.rows is None or row.name in self.rows]


def main() -> None:
    options = read_options()
    keep_freed_memory()
    small, device = options.size == "small", options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    bench = Bench(options.runs, device, SMALL_EPOCHS if small else options.epochs, small)
    bench.memory = Memory.read(written_to(options.output, bench, "json"))
    settings = [setting for setting in SETTINGS if not options.setting or setting.name in options.setting]
    if not options.no_train:
        wanted = [setting for setting in settings if options.setting or not setting.by_request]
        train_all(bench, Asked(wanted, options.rows, options.seeds), time.monotonic() + 3600 * options.hours)
    if not options.train_only:
        write(bench, Asked(settings, options.rows, options.seeds), options.output)


def read_options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names, rows = [setting.name for setting in SETTINGS], {row.name for setting in SETTINGS for row in setting.rows}
    options.add_argument("--setting", nargs="+", choices=names, help="only these tables, in their order")
    options.add_argument("--rows", nargs="+", choices=sorted(rows), metavar="ROW", help='such as "Mixed NDT"')
    options.add_argument("--seeds", type=int, nargs="+", help="instead of those of each table")
    options.add_argument("--size", choices=("small", "full"), default="full", help="small: a look at how it works")
    options.add_argument("--epochs", type=int, help="try every training for so many epochs; no row is shown of it")
    options.add_argument("--hours", type=float, default=float("inf"), help="start no training after so many hours")
    options.add_argument("--train-only", action="store_true", help="stop when the networks are trained")
    options.add_argument("--no-train", action="store_true", help="only measure what is trained")
    options.add_argument("--device", help="cpu, cuda or cuda:k; a GPU where there is one")
    options.add_argument("--runs", type=Path, default=Path("runs"))
    options.add_argument("--output", type=Path, default=OUTPUT, help="where to write and go on, without the ending")
    found = options.parse_args()
    if found.train_only and found.no_train:
        options.error("--train-only and --no-train leave nothing to do")
    if found.size == "small" and found.epochs is not None:
        options.error(f"--size small has {SMALL_EPOCHS} epochs")
    return found


def train_all(bench: Bench, asked: Asked, until: float) -> None:
    """Train what the rows need, in order; what stands against a table or a row is said, and the next one follows."""
    refused: set[str] = set()
    for setting, seed, row in asked.cells():
        if setting.name in refused:
            continue
        try:
            reason = train_row(bench, setting, seed, row, until)
        except DataError as error:
            reason = str(error)
        if reason:
            refused.add(setting.name)
            print(f"{setting.name}: {reason}", file=sys.stderr, flush=True)


def train_row(bench: Bench, setting: Setting, seed: int, row: Row, until: float) -> str:
    """Train the networks of a row; why nothing more of its table is to be trained, or an empty text."""
    run = bench.run(setting, row, seed)
    if bench.memory.cell(run, row.name):
        return ""
    if why_not := unfrozen(run, row):
        print(f"{setting.name}, {row.name}: {why_not}", file=sys.stderr, flush=True)
        return ""
    while wanted := missing(run, setting, bench.runs):
        if reason := too_wrong(bench, run, setting):
            return reason
        if time.monotonic() > until:
            return "the hours are over"
        largest(run, setting)
        train_told(run, only=wanted[0])
    return ""


def write(bench: Bench, asked: Asked, place: Path) -> None:
    """Measure what is trained, tell what was measured before, and write the tables as JSON and Markdown."""
    counted: set[str] = set()
    tables = [Table(each, asked.rows_of(each), asked.seeds_of(each), counted) for each in asked.settings]
    for table in tables:
        table.fill(bench)
    outcome = outcome_of(bench, tables)
    notes = place.with_name(f"{place.name}-notes.md")
    text = pages.page(outcome, notes.read_text() if notes.exists() and not bench.suffix else None)
    place.parent.mkdir(parents=True, exist_ok=True)
    written_to(place, bench, "json").write_text(json.dumps(outcome, indent=2) + "\n")
    written_to(place, bench, "md").write_text(text)
    print(text)


def written_to(place: Path, bench: Bench, ending: str) -> Path:
    return place.with_name(f"{place.name}{bench.suffix}.{ending}")


def outcome_of(bench: Bench, tables: Sequence[Table]) -> dict[str, Any]:
    known = costs.rates(bench.memory.known().values())
    machine = torch.cuda.get_device_name(bench.device) if bench.device.startswith("cuda") else bench.device
    return {
        "title": "Verifiable training" + (f" ({bench.suffix[1:].replace('-', ' ')})" if bench.suffix else ""),
        "command": shlex.join(["python", "benchmarks/verifiable_training.py", *sys.argv[1:]]),
        "preface": preface(bench),
        "environment": {**environment(), "device": machine},
        "settings": [table.shown(known) for table in tables],
        "memory": bench.memory.shown(),
    }


def preface(bench: Bench) -> str:
    if bench.small:
        images = f"{SMALL_TRAINING} training and {SMALL_TEST} test images at most, {SMALL_EPOCHS} epochs"
        return f"**Small: {images}. It shows that everything works; no figure here says anything of a method.**"
    if bench.epochs is not None:
        return f"A trial of {bench.epochs} epochs, for its seconds. No row is shown of it."
    return (
        "Percent of the whole test split; mean and standard deviation over seeds. Verified: by interval bounds or, "
        "where they fail, by CROWN-IBP bounds of the networks as they run in float32. All networks have batch norm, "
        "and robust ones start from the weights of fast IBP; epochs and seconds stand in the JSON file. A tree is in "
        "the wrong group, or not certified there, at its root. A flat network is held to the paper's rule: the true "
        "label itself beats every label outside its group; by the tighter rule some label beats each of them. "
        "Intra-group: wrong, or not certified, at the splits below the root; last splits of two labels are not counted."
    )


if __name__ == "__main__":
    try:
        main()
    except HierclsError as error:
        sys.exit(str(error))
