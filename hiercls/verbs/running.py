"""How far a certification is, and what it has found so far."""

import torch

from hiercls.contracts.provers import Proof
from hiercls.verbs.assembly import Assembly


class Running:
    """Counts the proofs of one prover as they come, and tells progress."""

    def __init__(self, assembly: Assembly, job: str, total: int):
        self._context = assembly.context
        self._job = job
        self._total = total
        self._budget = min(assembly.run.recipe.threat.budgets, default=0.0)
        self._truth: torch.Tensor = assembly.run.data.test.truth
        self._pace = _Pace(total, self._context.clock())
        self._done = self._certified = self._draws = 0

    def add(self, proof: Proof) -> None:
        """Count a proof: certified where every decision of this prover on the path is right and holds."""
        label = int(self._truth[proof.index])
        right = all(label in head.children[row.chosen] for head, row in proof.rows.items())
        holds = all(row.own > 0 and row.own >= self._budget for row in proof.rows.values())
        self._done += 1
        self._certified += right and holds
        self._draws += max((int(row.evidence.get("draws", 0)) for row in proof.rows.values()), default=0)
        self._pace.passed(self._done, self._context.clock())
        self._tell()

    def _tell(self) -> None:
        facts: dict[str, float | str] = {
            "verb": "certify",
            "prover": self._job,
            f"certified at {self._budget:g}": self._certified / self._done,
            "eta": self._pace.left,
        }
        if self._draws:
            facts["draws"] = self._draws
        self._context.progress(self._done, self._total, **facts)


class _Pace:
    """The time left, where proofs may come many at once after one long wait.

    It is told anew where a wait ends, from what came since the first wait ended: between two ends lie whole batches.

    Attributes:
        left: seconds; 0 while it is not known.
    """

    def __init__(self, total: int, now: float):
        self.left = 0.0
        self._total = total
        self._before = now
        self._longest = 0.0
        self._first: tuple[int, float] | None = None

    def passed(self, done: int, now: float) -> None:
        """One more proof has come."""
        waited, self._before = now - self._before, now
        self._longest = max(self._longest, waited)
        if self._first is None:
            self._first = done, now
        elif 2 * waited >= self._longest:
            self.left = (now - self._first[1]) * (self._total - done) / (done - self._first[0])
