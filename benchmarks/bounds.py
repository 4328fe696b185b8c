"""What training and certifying on bounds cost, in plain training steps and in seconds.

    HIERCLS_DATA=... python benchmarks/bounds.py --certify configs/fashion-mixed.yaml --output docs/results/bounds

Times one training step of `cnn-small` with batch norm on Fashion-MNIST, batch 256, one thread, with two outputs (the
published root split) and with ten: plain, on interval bounds, on CROWN-IBP bounds, and on the interval bounds of
auto_LiRPA where that is installed. Every round takes one batch through all of them in turn, each with weights and an
optimiser of its own; figures are medians over the rounds, in processor time, which other work on the machine disturbs
least. With --certify, the networks of a recipe (trained first where they are not) certify all selected images, from
nothing, in a copy of the run: wall-clock seconds.
"""

import argparse
import importlib
import importlib.util
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from outcome import publish

from hiercls.contracts.fitting import Moment
from hiercls.verbs.certify import certify
from hiercls.verbs.memory import keep_freed_memory
from hiercls.verbs.train import train
from hiercls.whole.runs import open_run
from hiercls.wiring.registry import Registry
from hiercls.words.threats import Domain
from hiercls_plugins.architectures.components import CnnSmall
from hiercls_plugins.bounds.training.initial import draw_fast_weights
from hiercls_plugins.bounds.training.objective import WorstCase
from hiercls_plugins.bounds.training.ramp import Ramp
from hiercls_plugins.crown_ibp.objective import CrownWorstCase
from hiercls_plugins.datasets.files import FashionMnist

BATCH, EPS, KAPPA, REGULARISATION, CLIP, RATE = 256, 0.1, 0.25, 0.5, 10.0, 5e-4
TOPS = torch.tensor([0, 2, 4])
"""T-shirt, Pullover and Coat, against all others."""

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
PLAIN = "plain"
LIRPA = "IBP, auto_LiRPA"


def main() -> None:
    """Publish the figures and a page of them."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=60)
    options.add_argument("--certify", type=Path, help="a recipe whose networks certify")
    options.add_argument("--runs", type=Path, default=Path("runs"), help="where its run lies")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--output", type=Path, help="where to write, without the ending")
    asked = options.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    figures: dict[str, Any] = {"batch": BATCH, "eps": EPS, "rounds": asked.rounds, "threads": 1}
    figures["auto_LiRPA"] = lirpa_version()
    figures["steps"] = {f"{outputs} outputs": steps(outputs, asked.rounds) for outputs in (2, 10)}
    if asked.certify is not None:
        figures["certification"] = certification(asked.certify, asked.runs, asked.workers)
    command = f"python benchmarks/bounds.py --rounds {asked.rounds}"
    if asked.certify is not None:
        command += f" --certify {asked.certify} --workers {asked.workers}"
    publish(command, figures, asked.output and asked.output.with_suffix(".json"))
    if asked.output is not None:
        asked.output.with_suffix(".md").write_text(page(command, figures))


def steps(outputs: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds and plain steps of every kind of training step."""
    x, y = examples(outputs)
    taken = {name: stepper(network, loss) for name, (network, loss) in losses(outputs).items()}
    seconds: dict[str, list[float]] = {name: [] for name in taken}
    generator = torch.Generator().manual_seed(0)
    for each in range(-WARM, rounds):
        rows = torch.randint(len(x), (BATCH,), generator=generator)
        for name, step in taken.items():
            started = time.process_time()
            step(x[rows], y[rows])
            if each >= 0:
                seconds[name].append(time.process_time() - started)
    return {name: figures(values, seconds[PLAIN]) for name, values in seconds.items()}


WARM = 3
"""Rounds that are not counted."""


def figures(seconds: list[float], plain: list[float]) -> dict[str, float]:
    """The median of one kind of step, and of its ratio to the plain step of the same round."""
    ratios = [one / other for one, other in zip(seconds, plain, strict=True)]
    return {
        "milliseconds": round(1000 * statistics.median(seconds), 1),
        "plain steps": round(statistics.median(ratios), 2),
    }


def examples(outputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The training images of Fashion-MNIST, with its labels or the sides of the root split."""
    split = FashionMnist().load("train", Path(os.environ["HIERCLS_DATA"]))
    truth = split.truth
    return split.views["image"], truth if outputs == 10 else torch.isin(truth, TOPS).long()


def losses(outputs: int) -> dict[str, tuple[torch.nn.Module, Loss]]:
    """Each kind of step by its loss; all start from the same weights."""
    ramp, domain = Ramp(EPS, KAPPA, 1, 21), Domain()
    known = {
        "IBP": (WorstCase(ramp, domain), 30),
        "IBP with its regulariser, in the ramp": (WorstCase(ramp, domain, REGULARISATION), 15),
        "CROWN-IBP" + ", loss fusion" * (outputs > 2): (CrownWorstCase(ramp, domain, 0.0, 0.0, 1.0), 30),
    }
    network = fresh(outputs)
    found: dict[str, tuple[torch.nn.Module, Loss]] = {PLAIN: (network, partial(cross_entropy, network))}
    for name, (objective, epoch) in known.items():
        network = fresh(outputs)
        moment = Moment(epoch, 100 * epoch, 100, 60, torch.Generator())
        found[name] = network, partial(objective.loss, network, moment=moment)
    if lirpa_version() is not None:
        found[LIRPA] = lirpa(fresh(outputs), outputs)
    return found


def cross_entropy(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The loss of a plain step."""
    return F.cross_entropy(network(x), y)


def fresh(outputs: int) -> torch.nn.Module:
    torch.manual_seed(0)
    network = CnnSmall().build((1, 28, 28), outputs).train()
    draw_fast_weights(network, torch.Generator().manual_seed(0))
    return network


def stepper(network: torch.nn.Module, loss: Loss) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """One step of Adam with a clipped gradient, as `descend` makes it."""
    parameters = list(network.parameters())
    optimizer = torch.optim.Adam(parameters, RATE)

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        value = loss(x, y)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()

    return step


def lirpa_version() -> str | None:
    """None where auto_LiRPA is not installed."""
    if importlib.util.find_spec("auto_LiRPA") is None:
        return None
    return str(importlib.import_module("auto_LiRPA").__version__)


def lirpa(network: torch.nn.Module, outputs: int) -> tuple[torch.nn.Module, Loss]:
    """The same loss on the interval bounds of auto_LiRPA, rows of margins merged into its last layer."""
    library = importlib.import_module("auto_LiRPA")
    bounded = library.BoundedModule(network, torch.zeros(BATCH, 1, 28, 28))
    bounded.train()
    identity = torch.eye(outputs)

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        reach = library.PerturbationLpNorm(x_L=(x - EPS).clamp_min(0), x_U=(x + EPS).clamp_max(1))
        logits = bounded(library.BoundedTensor(x, reach))
        others = ~F.one_hot(y, outputs).bool()
        rows = (identity[y][:, None, :] - identity)[others].view(len(y), outputs - 1, outputs)
        lowest, _ = bounded.compute_bounds(C=rows, method="IBP", bound_upper=False)
        margins = torch.cat([torch.zeros(len(y), 1), lowest], dim=1)
        worst = F.cross_entropy(-margins, torch.zeros_like(y))
        return KAPPA * F.cross_entropy(logits, y) + (1 - KAPPA) * worst

    return bounded, loss


def certification(config: Path, runs: Path, workers: int) -> dict[str, Any]:
    """Seconds to certify the selected images of a recipe by its networks, with nothing proved before."""
    run = open_run(config, Registry.load(), Path(os.environ["HIERCLS_DATA"]), root=runs)
    train(run, workers=workers)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / run.folder.name
        shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("paths", "proofs", "attack", "audit"))
        again = open_run(folder, Registry.load(), Path(os.environ["HIERCLS_DATA"]))
        started = time.perf_counter()
        done = certify(again, workers=workers)
        seconds = time.perf_counter() - started
    return {"recipe": config.name, "images": done["finished"], "workers": workers, "seconds": round(seconds, 1)}


def page(command: str, found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    lines = ["# What bounds cost", "", f"`{command}`", ""]
    lines += [f"Batch {found['batch']}, one thread, medians of {found['rounds']} rounds in processor time.", ""]
    lines += ["| outputs | training step | ms | plain steps |", "|---|---|---|---|"]
    for outputs, rows in found["steps"].items():
        for name, row in rows.items():
            lines.append(f"| {outputs.split()[0]} | {name} | {row['milliseconds']} | {row['plain steps']} |")
    if found["auto_LiRPA"] is None:
        lines += ["", "auto_LiRPA is not installed: its step is missing."]
    if "certification" in found:
        row = found["certification"]
        lines += ["", f"`{row['recipe']}`: {row['images']} images certified with radii in {row['seconds']} s by"]
        lines[-1] += f" {row['workers']} worker{'s' * (row['workers'] != 1)}."
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
