"""What earlier invocations measured: told again where the networks lie on another machine, or no more."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from verifiable_costs import Kind, Timing

from hiercls.values.records import digest
from hiercls.whole.runs import Run


@dataclass
class Memory:
    """Measured cells by the recipe of their row, and timings by the identity of their training.

    A recipe names everything that a figure depends on but the revision of the code that trained and measured it,
    which is told beside the figure.
    """

    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    timings: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, place: Path) -> "Memory":
        """That of an earlier outcome; empty where there is none."""
        if not place.exists():
            return cls()
        found = json.loads(place.read_text())["memory"]
        return cls(found["cells"], found["timings"])

    def shown(self) -> dict[str, Any]:
        return asdict(self)

    def cell(self, run: Run, row: str) -> dict[str, Any] | None:
        return self.cells.get(_key(run, row))

    def keep(self, run: Run, row: str, facts: Mapping[str, Any]) -> None:
        self.cells[_key(run, row)] = {"row": row, "seed": run.recipe.seed, **facts}

    def timed(self, training: str, timing: Timing) -> None:
        self.timings[training] = asdict(timing)

    def known(self) -> dict[str, Timing]:
        return {key: Timing(**{**found, "kind": Kind(**found["kind"])}) for key, found in self.timings.items()}


def _key(run: Run, row: str) -> str:
    return digest([row, run.recipe.seed, run.recipe.resolved()])
