"""A trained run, assembled, and what is stored of it."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from hiercls.contracts.context import Context, Progress, silent
from hiercls.values.certificates import LabelCertificates
from hiercls.values.heads import Head
from hiercls.values.records import digest
from hiercls.values.views import Inputs
from hiercls.whole.classifier import Classifier, Deployed, assemble
from hiercls.whole.proofs import (
    Evidence,
    ProofRows,
    certificates,
    path_key,
    proof_key,
    read_paths,
    read_proofs,
    read_seconds,
)
from hiercls.whole.runs import Run
from hiercls.words.errors import ConfigurationError

OpenClaim = tuple[int, dict[Head, int]]
"""An input and the decisions on its path that are not proved yet."""


@dataclass(frozen=True, eq=False)
class Assembly:
    """The systems of a run with their deployed networks.

    Attributes:
        classifiers: the recipe's tree first, then the baselines.
        selected: the inputs to be certified, places in the test split, in order.
    """

    run: Run
    classifiers: tuple[Classifier, ...]
    selected: torch.Tensor
    context: Context

    @cached_property
    def deployed(self) -> tuple[Deployed, ...]:
        """Every deployed network once."""
        found = {id(each): each for classifier in self.classifiers for each in classifier.nodes.values()}
        return tuple(found.values())

    @cached_property
    def proved_by(self) -> tuple[Deployed, ...]:
        """The deployed networks that have rows: certified ones in reach, and random ones out of it."""
        return tuple(each for each in self.deployed if each.certifier and (each.in_reach or each.random))

    @property
    def inputs(self) -> Inputs:
        return self.run.data.inputs[self.selected]

    @property
    def truth(self) -> torch.Tensor:
        return self.run.data.test.truth[self.selected]

    def key(self) -> str:
        """Names exactly these systems: the path keys hold the proof keys of all nodes."""
        return digest([[each.system.name, path_key(each, self.run.data)] for each in self.classifiers])

    def paths_folder(self, classifier: Classifier) -> Path:
        return self.run.folder / "paths" / path_key(classifier, self.run.data)

    def proofs_folder(self, deployed: Deployed) -> Path:
        return self.run.folder / "proofs" / proof_key(deployed, self.run.data)

    def proofs(self) -> dict[str, ProofRows]:
        """All stored rows, by prover."""
        data = self.run.data
        return {proof_key(each, data): read_proofs(self.proofs_folder(each), each.heads) for each in self.proved_by}


def assembled(run: Run, inputs: int | None = None, batch: int | None = None, progress: Progress = silent) -> Assembly:
    """Assemble a trained run.

    Args:
        inputs: take this many inputs in the place of what the recipe asks for.

    Raises:
        ConfigurationError: a network is not trained yet.
    """
    torch.set_num_threads(run.recipe.threads)
    tree = run.tree
    certify = run.recipe.certify
    changes = {} if (batch or certify.batch) is None else {"batch": batch or certify.batch}
    context = run.context(progress, **changes)
    classifiers = assemble(run.plan().systems, run.networks(tree), context, certify.joint)
    selected = run.data.selected(certify.inputs if inputs is None else inputs, tree)
    return Assembly(run, classifiers, selected, context)


def certified(assembly: Assembly, finished: torch.Tensor | None = None) -> Mapping[str, LabelCertificates]:
    """The label certificates of every system, for the inputs that are finished.

    Args:
        finished: those of `finished_inputs`, where the caller has asked: others may finish meanwhile.

    Raises:
        ConfigurationError: nothing was certified yet.
    """
    finished = finished_inputs(assembly) if finished is None else finished
    if not len(finished):
        raise ConfigurationError(f"{assembly.run.folder}: nothing is certified yet; run `hiercls certify` first")
    proofs = assembly.proofs()
    inputs = assembly.run.data.inputs[finished]
    found = {}
    for classifier in assembly.classifiers:
        paths = read_paths(assembly.paths_folder(classifier))
        rows = [paths[index] for index in finished.tolist()]
        found[classifier.system.name] = certificates(Evidence(classifier, inputs, rows, proofs), assembly.run.data)
    return found


def finished_inputs(assembly: Assembly) -> torch.Tensor:
    """The selected inputs that have a path in every system and every proof that their paths need."""
    done = torch.ones(len(assembly.selected), dtype=torch.bool)
    paths = [read_paths(assembly.paths_folder(classifier)) for classifier in assembly.classifiers]
    for k, index in enumerate(assembly.selected.tolist()):
        done[k] = all(index in rows for rows in paths)
    for deployed in assembly.proved_by:
        proofs = read_proofs(assembly.proofs_folder(deployed), deployed.heads)
        for k, index in enumerate(assembly.selected.tolist()):
            if done[k]:
                done[k] = is_proved(
                    deployed, assembly.classifiers, [rows[index] for rows in paths], proofs.get(index, ())
                )
    return assembly.selected[done]


def open_claims(assembly: Assembly, deployed: Deployed, mine: torch.Tensor) -> list[OpenClaim]:
    """Of these inputs, those whose paths come to this prover and that have no row, or one about other children."""
    paths = [read_paths(assembly.paths_folder(classifier)) for classifier in assembly.classifiers]
    proofs = read_proofs(assembly.proofs_folder(deployed), deployed.heads)
    found = []
    for index in mine.tolist():
        if not all(index in rows for rows in paths):
            continue
        own_paths = [rows[index] for rows in paths]
        wanted = claimed(deployed, assembly.classifiers, own_paths)
        if wanted and not is_proved(deployed, assembly.classifiers, own_paths, proofs.get(index, ())):
            found.append((index, wanted))
    return found


def seconds_spent(assembly: Assembly, classifier: Classifier, inputs: torch.Tensor) -> list[float | None]:
    """What proving each of these inputs took in one system, summed over the provers on its path; naming paths is not
    in it.

    A prover that serves several systems proves an input for all of them at once: each system is told the whole.
    Inputs that share forward passes have times of their own only in the sum.

    Returns:
        One number an input, None where a row was stored before rows told their time.
    """
    paths = read_paths(assembly.paths_folder(classifier))
    spent: list[float | None] = [0.0] * len(inputs)
    for deployed in assembly.proved_by:
        seconds = read_seconds(assembly.proofs_folder(deployed))
        for k, index in enumerate(inputs.tolist()):
            if claimed(deployed, (classifier,), (paths[index],)):
                before, here = spent[k], seconds[index]
                spent[k] = None if before is None or here is None else before + here
    return spent


def is_proved(
    deployed: Deployed,
    classifiers: Sequence[Classifier],
    paths: Sequence[tuple[int, ...]],
    stored: Container[tuple[Head, int]],
) -> bool:
    """Whether there are stored rows about exactly the children that an input's paths choose."""
    return all(decision in stored for decision in claimed(deployed, classifiers, paths).items())


def claimed(deployed: Deployed, classifiers: Sequence[Classifier], paths: Sequence[tuple[int, ...]]) -> dict[Head, int]:
    """The decisions of one prover on an input's paths in all systems; abstentions claim nothing."""
    found: dict[Head, int] = {}
    for classifier, path in zip(classifiers, paths, strict=True):
        node = classifier.tree.root
        for child in path:
            if child < 0:
                break
            if classifier.nodes[node] is deployed:
                found[classifier.head(node)] = child
            node = classifier.tree.children(node)[child]
    return found
