"""Train the networks of a run, each after those that it needs, and derive the tree between them."""

from dataclasses import replace
from functools import partial

import torch

from hiercls.contracts.context import Context, Progress, silent
from hiercls.values.drawing import as_json
from hiercls.values.labels import LabelTree
from hiercls.values.records import write_atomic
from hiercls.verbs.parallel import in_processes
from hiercls.verbs.rehearse import rehearse
from hiercls.verbs.stopping import stopping
from hiercls.whole.networks import Networks
from hiercls.whole.plan import Step
from hiercls.whole.runs import Address, Run
from hiercls.words.errors import ConfigurationError


def train(run: Run, only: str | None = None, workers: int = 1, progress: Progress = silent) -> dict[str, bool]:
    """Train what is not trained yet; a training that was interrupted goes on where it was.

    First everything is rehearsed on untrained networks: what cannot be certified is told before the first epoch.

    Args:
        only: the name of the one network to train.
        workers: networks trained at the same time, each in a process and with the recipe's threads.

    Returns:
        For every network whether it was trained now; False if it was there already.
    """
    torch.set_num_threads(run.recipe.threads)
    chosen = None if only is None else _step(run, only)
    run.data.train_fingerprint  # noqa: B018  a missing data set leaves no run behind
    if not all(_networks(run).trained(name) for name in run.plan().jobs):
        rehearse(run.recipe, run.data.root)
    run.prepare("train")
    if chosen is not None:
        return {chosen.name: _train_one(run, chosen, progress)}
    done: dict[str, bool] = {}
    while ready := _ready(run, done):
        present = _networks(run)
        networks = [step.name for step in ready if step.kind == "network" and not present.trained(step.name)]
        if workers > 1 and len(networks) > 1:
            with stopping():
                watch = partial(_tell_networks, run, tuple(networks), progress)
                in_processes(_train_named, [(run.address, name) for name in networks], workers, watch)
            done |= dict.fromkeys(networks, True)
            ready = [step for step in ready if step.name not in networks]
        for step in ready:
            done[step.name] = _train_one(run, step, progress)
    run.prepare("train")
    done.pop("tree", None)
    return done


def _tell_networks(run: Run, names: tuple[str, ...], progress: Progress) -> None:
    """How many networks the workers have trained, and how many epochs in all."""
    networks = _networks(run)
    epochs = sum(
        path.read_bytes().count(b"\n") for name in names for path in networks.place(name).glob("history.jsonl")
    )
    progress(sum(networks.trained(name) for name in names), len(names), verb="train", epochs=epochs)


def _ready(run: Run, done: dict[str, bool]) -> list[Step]:
    """The networks and the derived tree whose needs are all there."""
    steps = [step for step in run.plan().steps if step.kind in ("network", "tree") and step.name not in done]
    return [step for step in steps if all(need in done for need in step.needs)]


def _step(run: Run, name: str) -> Step:
    found = {step.name: step for step in run.plan().steps if step.kind == "network"}
    if name in run.plan().composed:
        raise ConfigurationError(f"train: {name!r} is composed of the tree's networks and has nothing to train")
    if name not in found:
        raise ConfigurationError(f"train: no network is called {name!r}; there are {', '.join(map(repr, found))}")
    return found[name]


def _train_named(address: Address, name: str) -> None:
    run = address.open()
    torch.set_num_threads(run.recipe.threads)
    _train_one(run, _step(run, name), silent)


def _train_one(run: Run, step: Step, progress: Progress) -> bool:
    if step.kind == "tree":
        return derive_tree(run, progress)
    networks = _networks(run)
    place = networks.place(step.name)

    def named(done: float, total: float, **facts: float | str) -> None:
        progress(done, total, verb="train", network=step.name, **facts)

    return networks.train(step.name, replace(_training_context(run), progress=named, scratch=place))


def _training_context(run: Run) -> Context:
    """The context of a training: budgets are not told, so that weights cannot depend on them."""
    return run.context(threat=replace(run.recipe.threat, budgets=()))


def _networks(run: Run) -> Networks:
    return run.networks(run.known_tree())


def derive_tree(run: Run, progress: Progress = silent) -> bool:
    """Grow the derived tree from its networks, and tell why it is this one; False if it was there already."""
    place = run.tree_place()
    builder = run.recipe.tree.build
    assert place is not None
    assert builder is not None
    if place.exists():
        return False
    networks = run.networks(None)
    needed = {name: networks.load(name) for name in builder.needs()}
    flat = networks.jobs[builder.needs()[0]] if builder.needs() else next(iter(networks.jobs.values()))
    held_out = run.data.task(flat.parts, flat.view, None)
    grown = builder.build(run.data.labels, needed, held_out, run.context())
    require_labels(grown.tree, run.data.labels)
    write_atomic(place.with_suffix(".txt"), grown.why + "\n")
    write_atomic(place, as_json(grown.tree))
    progress(1, 1, verb="train", note=f"tree: {grown.why}")
    return True


def require_labels(tree: LabelTree, labels: tuple[str, ...]) -> None:
    if tree.labels != labels:
        raise ConfigurationError("tree: the builder returned a tree over other labels than the dataset's")
