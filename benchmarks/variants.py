"""Runs of one recipe that differ in a few keys, such as the seed."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from hiercls.values.records import write_atomic
from hiercls.verbs.train import train
from hiercls.whole.runs import Run, open_run
from hiercls.wiring.registry import Registry


def variant(
    recipe: Path | Sequence[Path],
    changes: Mapping[str, Any],
    runs: Path,
    label: str | None = None,
    device: str = "cpu",
) -> Run:
    """The run of a YAML that is layered over `recipe`; it is written beside the run's folder.

    Args:
        recipe: one YAML, or several, each layered over those before it.
        changes: the keys that differ, the run's `name` among them.
        label: the name of the YAML where several share a run's folder; None for the run's own.
    """
    below = [recipe] if isinstance(recipe, Path) else recipe
    document = {"extends": [os.path.relpath(path, runs) for path in below], **changes}
    return written(document, runs, label or str(changes["name"]), device)


def written(document: Mapping[str, Any], runs: Path, label: str, device: str = "cpu") -> Run:
    """The run of a recipe that is written first."""
    runs.mkdir(parents=True, exist_ok=True)
    text = StringIO()
    YAML(typ="safe", pure=True).dump(dict(document), text)
    place = runs / f"{label}.yaml"
    write_atomic(place, text.getvalue())
    return open_run(place, Registry.load(), Path(os.environ["HIERCLS_DATA"]), root=runs, device=device)


def train_told(run: Run, only: str | None = None) -> None:
    """Train what is not trained yet, an epoch's news on stderr now and then.

    Args:
        only: the name of the one network to train.
    """
    told = time.monotonic()

    def progress(done: float, total: float, **facts: float | str) -> None:
        nonlocal told
        if time.monotonic() - told > 30:
            told = time.monotonic()
            news = " ".join(f"{name} {value}" for name, value in facts.items())
            print(f"{run.recipe.name}: {done:g} of {total:g}, {news}", file=sys.stderr, flush=True)

    print(f"{run.recipe.name}: training {only or ''}".rstrip(), file=sys.stderr, flush=True)
    train(run, only=only, progress=progress)
