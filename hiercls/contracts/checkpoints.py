"""One file that holds a training in mid-flight: tensors and JSON, replaced whole or not at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from hiercls.values.records import write_atomic
from hiercls.words.errors import DataError

CHECKPOINT = "checkpoint.safetensors"
HISTORY = "history.jsonl"


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a training needs to go on as if it had never stopped.

    Attributes:
        groups: named groups of tensors (network, optimizer, objective).
        facts: the position and the history, in JSON's types.
    """

    groups: Mapping[str, Mapping[str, torch.Tensor]]
    facts: Mapping[str, Any]

    def save(self, path: Path) -> None:
        """Write the checkpoint beside its place, then move it there."""
        tensors = {
            f"{group}/{name}": tensor.detach().cpu().clone().contiguous()
            for group, members in self.groups.items()
            for name, tensor in members.items()
        }
        write_atomic(path, save(tensors, {"facts": json.dumps(self.facts)}))


def load_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint of a file, None where there is no file.

    Raises:
        DataError: the file is not a checkpoint.
    """
    if not path.exists():
        return None
    groups: dict[str, dict[str, torch.Tensor]] = {}
    try:
        with safe_open(path, "pt") as stored:
            facts = json.loads(stored.metadata()["facts"])
            for key in stored.keys():  # noqa: SIM118 (not a mapping)
                group, name = key.split("/", 1)
                groups.setdefault(group, {})[name] = stored.get_tensor(key)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a readable checkpoint ({error}); remove it to train from the start") from None
    return Checkpoint(groups, facts)


def drop_unfinished(folder: Path) -> None:
    """Remove what a kill left of files that were never moved into place."""
    for name in (CHECKPOINT, HISTORY):
        for left in folder.glob(f".{name}.*"):
            left.unlink()


def write_history(folder: Path, rows: list[Mapping[str, Any]]) -> None:
    """One line an epoch in `history.jsonl`."""
    write_atomic(folder / HISTORY, "".join(json.dumps(row) + "\n" for row in rows).encode())
