"""Answer inputs with an assembled classifier."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hiercls.values.draws import Purpose
from hiercls.values.heads import UNREACHED
from hiercls.values.views import Inputs, require_domain
from hiercls.verbs.assembly import assembled
from hiercls.whole.classifier import Classifier
from hiercls.whole.runs import Run
from hiercls.words.errors import ConfigurationError, DataError


def predict(run: Run, indices: Sequence[int] = (), file: Path | None = None) -> list[dict[str, object]]:
    """The answers of every system, with the path that led to each, and the true label of an input of the test split.

    A random node answers what its selection draws name if fresh draws confirm it at the recipe's alpha, and
    abstains otherwise: the answer is then the node's label set.

    Args:
        indices: places in the test split.
        file: a .npy array of inputs of the threat's view, (N, ...) in raw units. The noise of a random node is named
            by an input's place in it.

    Raises:
        DataError: no such file or place, another shape, or inputs outside the domain.
    """
    if bool(indices) == (file is not None):
        raise ConfigurationError("predict: name inputs, either with --index or with --file")
    assembly = assembled(run)
    inputs = _from_file(run, file) if file is not None else _from_split(run, indices)
    view = run.recipe.threat.view
    require_domain(inputs.views[view], run.recipe.threat.domain, "predict")
    rows: list[dict[str, object]] = [{"index": index} for index in inputs.index.tolist()]
    if file is None:
        for row, label in zip(rows, run.data.test.truth[inputs.index].tolist(), strict=True):
            row["truth"] = run.data.labels[label]
    for classifier in assembly.classifiers:
        for row, answer in zip(rows, _answers(classifier, inputs), strict=True):
            row[classifier.system.name] = answer
    return rows


def _answers(classifier: Classifier, inputs: Inputs) -> list[dict[str, object]]:
    tree = classifier.tree
    decided = classifier.decide(inputs, Purpose.PREDICT)
    found: list[dict[str, object]] = []
    for k in range(len(inputs)):
        node = tree.root
        path = [tree.name(node)]
        while tree.children(node) and int(decided[node][k]) not in (UNREACHED, -1):
            node = tree.children(node)[int(decided[node][k])]
            path.append(tree.name(node))
        answer = [tree.labels[label] for label in sorted(node)]
        found.append({"answer": answer, "path": path, "abstains": bool(tree.children(node))})
    return found


def _from_split(run: Run, indices: Sequence[int]) -> Inputs:
    count = len(run.data.inputs)
    wrong = [index for index in indices if not 0 <= index < count]
    if wrong:
        raise DataError(f"predict: the test split has no input {wrong[0]}; it has {count}")
    return run.data.inputs[torch.tensor(indices)]


def _from_file(run: Run, file: Path) -> Inputs:
    view = run.recipe.threat.view
    shape = run.data.dataset.views()[view]
    others = {name for system in run.plan().systems for name in (p.view for p in system.nodes.values())} - {view}
    if others or run.data.allowed_view:
        raise ConfigurationError("predict: a file gives one view; this recipe reads several, use --index")
    try:
        with file.open("rb") as opened:
            array = np.lib.format.read_array(opened, allow_pickle=False)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError:
        raise DataError(f"{file}: is no .npy array of numbers") from None
    sizes = ", ".join(map(str, shape))
    if array.shape[1:] != shape or array.dtype.kind not in "fiu":
        raise DataError(
            f"{file}: holds {array.dtype} {array.shape}; inputs of {view} are numbers of shape (N, {sizes})"
        )
    return Inputs(torch.arange(len(array)), {view: torch.from_numpy(array.astype(np.float32))})
