"""What a smoothed certificate costs: our engine against a plain loop, on one network and the same inputs, in one run.

The plain loop is Cohen's: one input at a time, batches of 400 in float32, batch norm unfolded, one count at a time on
the host, 100 selection draws and then all the others. Ours is the certifier as a recipe names it, once for each mode:

    fixed       all draws, as the plain loop
    grid        the radii 0, sigma, 2 sigma and 3 sigma (0, .25, .5, .75 at sigma .25)
    near, far   one radius: sigma/2, and 2 sigma
    tolerance   the radius within 5%

Both decide and certify the same inputs at the same alpha. Each is also measured against the bare network: its passes
alone, in its own dtype and shape. Seconds are those of this process on a CPU, so that neighbours on the machine do not
count, and those of the clock on other devices. A network comes from a trained run (`--run`, `--job`), or is untrained
and decides on noise, where its own answer counts as the truth.

    python benchmarks/smoothing.py --run runs/cifar-smoothed --job flat --inputs 20 \\
        --output docs/results/smoothing-speed.json
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from outcome import publish
from smoothing_page import page

from hiercls.cli.common import opened_run
from hiercls.contracts.context import Context
from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose
from hiercls.values.heads import Head, restricted
from hiercls.values.views import Inputs
from hiercls.verbs.assembly import assembled
from hiercls.wiring.registry import Registry
from hiercls_plugins.smoothing.certifier import Smoothing
from hiercls_plugins.smoothing.engine import Smoothed
from hiercls_plugins.smoothing.statistics import leader, one_sided

PLAIN_BATCH = 400
SHARES = (0.0, 1.0, 2.0, 3.0)
"""The radii of the published grid, in units of sigma."""


@dataclass(frozen=True)
class Setting:
    """One network, its inputs, and what is asked of both engines."""

    network: torch.nn.Module
    inputs: Inputs
    truth: list[int]
    head: Head
    asked: argparse.Namespace

    @property
    def radii(self) -> list[float]:
        return [share * self.asked.sigma for share in SHARES]


def main() -> None:
    asked = _arguments().parse_args()
    torch.set_num_threads(asked.threads)
    setting = _trained(asked) if asked.run else _untrained(asked)
    plain = plain_loop(setting)
    modes = {name: ours(setting, name) for name in asked.modes}
    figures = {"plain": plain, "ours": modes, "levers": levers(setting)}
    publish(f"python benchmarks/smoothing.py {_told(asked)}", figures, asked.output)
    if asked.output is not None:
        asked.output.with_suffix(".md").write_text(page(setting.asked, setting.radii, figures))


def plain_loop(setting: Setting) -> dict[str, Any]:
    """Cohen's loop, timed on its first draws where not all are asked for."""
    asked = setting.asked
    network = setting.network.to(asked.device)
    watch, certified, draws = _Watch(asked.device), [], min(asked.plain_draws or asked.draws, asked.draws)
    for k, truth in enumerate(setting.truth):
        x = setting.inputs.views["image"][k].to(asked.device)
        chosen = leader(_plain_counts(network, x, 100, setting))
        counts = _plain_counts(network, x, draws, setting)
        own = one_sided(counts, chosen, asked.sigma, asked.alpha).own if draws == asked.draws else 0.0
        certified.append((chosen == truth, own))
    seconds = watch.read()
    bare = rate(lambda x: network(x), setting, PLAIN_BATCH)
    each = seconds / (len(certified) * (100 + draws))
    return {
        "draws": len(certified) * asked.draws,
        "draws timed": len(certified) * draws,
        "seconds": each * len(certified) * (100 + asked.draws),
        "share of the bare network": 1 / each / bare,
        "certified accuracy": accuracies(certified, setting) if draws == asked.draws else None,
    }


@torch.no_grad()
def _plain_counts(network: torch.nn.Module, x: torch.Tensor, draws: int, setting: Setting) -> np.ndarray:
    counts = np.zeros(len(setting.head.children) + 1, np.int64)
    while draws > 0:
        size = min(PLAIN_BATCH, draws)
        draws -= size
        batch = x.repeat((size, *([1] * x.ndim)))
        noise = torch.randn_like(batch) * setting.asked.sigma
        for child in network(batch + noise).argmax(1).cpu().numpy():
            counts[child] += 1
    return counts


def ours(setting: Setting, mode: str) -> dict[str, Any]:
    """One mode of the certifier, selection included; a first pass, with any compilation, is told apart."""
    asked = setting.asked
    prover = _deployed(setting, mode)
    first = _Watch(asked.device)
    _, tile = prover.options.shape(torch.device(asked.device).type)
    prover.votes.passes.logits(torch.zeros(tile, *setting.inputs.views["image"].shape[1:], device=asked.device))
    started = first.read()
    claims = Watching(prover, setting)
    watch = _Watch(asked.device)
    proofs = {proof.index: proof.rows[setting.head] for proof in prover.prove(iter(claims))}
    seconds = watch.read()
    rows = [proofs[index] for index in setting.inputs.index.tolist() if index in proofs]
    certified = [(row.chosen == truth, row.own) for row, truth in zip(rows, claims.truths, strict=True)]
    draws = sum(row.evidence["draws"] for row in rows)
    passed = draws + len(setting.truth) * prover.options.select
    return {
        "options": prover.options.model_dump(mode="json", exclude_defaults=True),
        "draws": draws,
        "seconds": seconds,
        "seconds of the first pass": started,
        "share of the bare network": passed / seconds / rate(prover.votes.passes.logits, setting, tile),
        "certified accuracy": accuracies([*certified, *([(False, 0.0)] * claims.abstained)], setting),
    }


class Watching:
    """Claims on what selection draws name, made as they are pulled; inputs without a name make none."""

    def __init__(self, prover: Smoothed, setting: Setting):
        self.prover, self.setting = prover, setting
        self.truths: list[int] = []
        self.abstained = 0

    def __iter__(self) -> Iterator[Claim]:
        inputs, head = self.setting.inputs, self.setting.head
        named = self.prover.decide(inputs, Purpose.SELECT)[head].tolist()
        for k, (chosen, truth) in enumerate(zip(named, self.setting.truth, strict=True)):
            if chosen < 0:
                self.abstained += 1
                continue
            self.truths.append(truth)
            yield Claim(inputs[k : k + 1], {head: chosen})


def levers(setting: Setting) -> dict[str, float]:
    """Passes a second of each lever alone, over those of the plain network in batches of 400 in float32."""
    plain = rate(lambda x: setting.network(x), setting, PLAIN_BATCH)
    changes: dict[str, dict[str, Any]] = {
        "folding": {"tile": PLAIN_BATCH},
        "folding and batches of 100": {"tile": 100},
        "folding and channels-last": {"tile": PLAIN_BATCH, "layout": "channels-last"},
        "folding and bf16": {"tile": PLAIN_BATCH, "precision": "bf16"},
        "all": {"tile": 100, "layout": "channels-last", "precision": "bf16"},
    }
    if setting.asked.compiled:
        changes["all and torch.compile"] = {**changes["all"], "compiled": True}
    found = {}
    for name, options in changes.items():
        smoothing = Smoothing(sigma=setting.asked.sigma, **options)
        prover = smoothing.deploy(setting.network, (setting.head,), "image", _context(setting))
        assert isinstance(prover, Smoothed)
        found[name] = rate(prover.votes.passes.logits, setting, options["tile"]) / plain
    return found


@torch.no_grad()
def rate(network: Callable[[torch.Tensor], torch.Tensor], setting: Setting, rows: int) -> float:
    """Rows a second of forward passes alone."""
    x = torch.rand(rows, *setting.inputs.views["image"].shape[1:], device=setting.asked.device)
    network(x)
    watch, passes = _Watch(setting.asked.device), 0
    while watch.read() < setting.asked.bare_seconds:
        network(x)
        passes += 1
    return passes * rows / watch.read()


class _Watch:
    """Seconds of this process on a CPU; of the clock, with nothing left to do, elsewhere."""

    def __init__(self, device: str):
        self.cpu = torch.device(device).type == "cpu"
        self.started = 0.0
        self.started = self.read()

    def read(self) -> float:
        if self.cpu:
            return time.process_time() - self.started
        torch.cuda.synchronize()
        return time.monotonic() - self.started


def accuracies(certified: list[tuple[bool, float]], setting: Setting) -> list[float]:
    """The share of inputs answered rightly and certified at each radius of the grid."""
    return [sum(right and own > 0 and own >= r for right, own in certified) / len(certified) for r in setting.radii]


def _deployed(setting: Setting, mode: str) -> Smoothed:
    asked, sigma = setting.asked, setting.asked.sigma
    stops: dict[str, Any] = {
        "fixed": "fixed",
        "grid": {"grid": {"radii": setting.radii}},
        "near": {"grid": {"radii": [0.5 * sigma]}},
        "far": {"grid": {"radii": [2.0 * sigma]}},
        "tolerance": {"tolerance": 0.05},
    }
    smoothing = Smoothing(
        sigma=sigma,
        draws=asked.draws,
        stop=stops[mode],
        precision=asked.precision,
        noise=asked.noise,
        layout="channels-last",
        compiled=asked.compiled,
        block=100,
        tile=asked.tile,
    )
    prover = smoothing.deploy(setting.network, (setting.head,), "image", _context(setting))
    assert isinstance(prover, Smoothed)
    return prover


def _context(setting: Setting) -> Context:
    return Context(seed=setting.asked.seed, device=setting.asked.device, alpha=setting.asked.alpha)


def _trained(asked: argparse.Namespace) -> Setting:
    """The first selected inputs and a network of a trained run."""
    run = opened_run(asked.run, asked.run.parent, allow_plugins=True)
    assembly = assembled(run, asked.inputs)
    network = run.networks(run.tree).load(asked.job)
    labels = len(assembly.classifiers[0].tree.labels)
    return Setting(network, assembly.inputs, assembly.truth.tolist(), _flat(labels), asked)


def _untrained(asked: argparse.Namespace) -> Setting:
    torch.manual_seed(asked.seed)
    network = Registry.load().get("architecture", asked.network)().build((3, 32, 32), 10).eval()
    inputs = Inputs(torch.arange(asked.inputs), {"image": torch.rand(asked.inputs, 3, 32, 32)})
    with torch.no_grad():
        truth = network(inputs.views["image"]).argmax(dim=1).tolist()
    return Setting(network, inputs, truth, _flat(10), asked)


def _flat(labels: int) -> Head:
    return restricted([frozenset({label}) for label in range(labels)])


def _told(asked: argparse.Namespace) -> str:
    given = {name.replace("_", "-"): value for name, value in vars(asked).items() if value not in (None, False)}
    return " ".join(f"--{name}" if value is True else f"--{name} {_word(value)}" for name, value in given.items())


def _word(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def _arguments() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--run", type=Path, help="a YAML, or the folder of a trained run")
    options.add_argument("--job", default="flat", help="the run's network, one output a label")
    options.add_argument("--network", default="resnet20", help="an architecture, untrained, where no run is given")
    options.add_argument("--inputs", type=int, default=20)
    options.add_argument("--draws", type=int, default=100_000)
    options.add_argument("--plain-draws", type=int, help="time the plain loop on fewer draws; its radii are not told")
    options.add_argument("--sigma", type=float, default=0.25)
    options.add_argument("--alpha", type=float, default=0.001)
    modes = ["fixed", "grid", "near", "far", "tolerance"]
    options.add_argument("--modes", nargs="+", choices=modes, default=modes)
    options.add_argument("--precision", choices=["float32", "bf16"], default="bf16")
    options.add_argument("--noise", choices=["float64", "float32"], default="float32")
    options.add_argument("--compiled", action="store_true", help="passes through torch.compile; needs a compiler")
    options.add_argument("--tile", type=int, default=100, help="rows of one pass, a multiple of 100")
    options.add_argument("--device", default="cpu")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--bare-seconds", type=float, default=10.0, help="how long each bare network is measured")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--output", type=Path, help="where the JSON goes; the page goes beside it")
    return options


if __name__ == "__main__":
    main()
