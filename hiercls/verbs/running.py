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
        self._started = self._context.clock()
        self._done = self._certified = self._draws = 0

    def add(self, proof: Proof) -> None:
        """Count a proof: certified where every decision of this prover on the path is right and holds."""
        label = int(self._truth[proof.index])
        right = all(label in head.children[row.chosen] for head, row in proof.rows.items())
        holds = all(row.own > 0 and row.own >= self._budget for row in proof.rows.values())
        self._done += 1
        self._certified += right and holds
        self._draws += max((int(row.evidence.get("draws", 0)) for row in proof.rows.values()), default=0)
        self._tell()

    def _tell(self) -> None:
        seconds = max(self._context.clock() - self._started, 1e-9)
        facts: dict[str, float | str] = {
            "verb": "certify",
            "prover": self._job,
            f"certified at {self._budget:g}": self._certified / self._done,
            "eta": seconds * (self._total - self._done) / self._done,
        }
        if self._draws:
            facts["draws"] = self._draws
        self._context.progress(self._done, self._total, **facts)
