"""Prove radii for a trained run: first the paths, then one row an input and prover."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

import torch

from hiercls.contracts.context import Progress, silent
from hiercls.contracts.pointwise import TILE
from hiercls.contracts.provers import Claim, Proof, Row
from hiercls.values.draws import Purpose
from hiercls.values.records import Appender
from hiercls.values.views import Inputs
from hiercls.verbs.assembly import Assembly, OpenClaim, assembled, finished_inputs, open_claims
from hiercls.verbs.costs import tell_costs
from hiercls.verbs.parallel import in_processes
from hiercls.verbs.running import Running
from hiercls.verbs.stopping import Stop, stopping
from hiercls.whole.classifier import Deployed
from hiercls.whole.proofs import path_rows, proof_row, read_paths
from hiercls.whole.runs import Address, Run


@dataclass(frozen=True)
class Shard:
    """Every `of`-th input, beginning with the `number`-th, or a worker's share of those; rows depend on neither.

    Workers take blocks of neighbours: every second input would fill every second place of a pass.
    """

    number: int = 0
    of: int = 1
    worker: int = 0
    workers: int = 1

    @property
    def part(self) -> str:
        worker = f"-{self.worker}-of-{self.workers}" if self.workers > 1 else ""
        return f"part-{self.number}-of-{self.of}{worker}.jsonl"

    def take(self, selected: torch.Tensor) -> torch.Tensor:
        """The shard's inputs, (n,), of all selected ones."""
        mine = selected[self.number :: self.of]
        block = max(1, min(TILE, ceil(len(mine) / self.workers)))
        return mine[torch.arange(len(mine)) // block % self.workers == self.worker]


def certify(
    run: Run,
    inputs: int | None = None,
    batch: int | None = None,
    shard: Shard = Shard(),
    seconds: float | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> dict[str, int]:
    """Certify the selected inputs; what is stored already is not done again.

    Args:
        seconds: stop handing out inputs after this time.
        workers: processes; each takes a shard of its own.

    Returns:
        How many inputs are selected and how many of them are finished.
    """
    assembly = assembled(run, inputs, batch, progress)
    run.prepare("certify")
    shards = [replace(shard, worker=worker, workers=workers) for worker in range(workers)] if workers > 1 else [shard]
    with stopping(seconds) as stop:
        tell_costs(assembly, [each.take(assembly.selected) for each in shards], stop)
        if workers > 1 and len(finished_inputs(assembly)) < len(assembly.selected):
            calls = [(run.address, inputs, batch, each, seconds) for each in shards]
            in_processes(_certify_shard, calls, watch=partial(_tell_rows, assembly))
        else:
            _certify(assembly, shard.take(assembly.selected), shard, stop)
    return {"inputs": len(assembly.selected), "finished": len(finished_inputs(assembly))}


def _tell_rows(assembly: Assembly) -> None:
    """How many rows the workers have written together."""
    parts = [part for each in assembly.proved_by for part in assembly.proofs_folder(each).glob("part-*.jsonl")]
    done = sum(part.read_bytes().count(b"\n") for part in parts)
    assembly.context.progress(done, len(assembly.selected) * len(assembly.proved_by), verb="certify")


def _certify_shard(
    address: Address, inputs: int | None, batch: int | None, shard: Shard, seconds: float | None
) -> None:
    certify(address.open(), inputs, batch, shard, seconds)


def _certify(assembly: Assembly, mine: torch.Tensor, shard: Shard, stop: Stop) -> None:
    _paths(assembly, mine, shard, stop)
    for deployed in assembly.proved_by:
        _proofs(assembly, deployed, mine, shard, stop)


def _paths(assembly: Assembly, mine: torch.Tensor, shard: Shard, stop: Stop) -> None:
    """Fix each input's path in each system, on selection draws where a node is random."""
    for classifier in assembly.classifiers:
        folder = assembly.paths_folder(classifier)
        known = read_paths(folder)
        missing = torch.tensor([index for index in mine.tolist() if index not in known], dtype=torch.int64)
        with Appender(folder / shard.part) as part:
            for rows in missing.split(assembly.context.batch):
                if stop():
                    return
                inputs = assembly.run.data.inputs[rows]
                decided = classifier.decide(inputs, Purpose.SELECT)
                for index, path in zip(rows.tolist(), path_rows(classifier.tree, decided, len(rows)), strict=True):
                    part.append({"index": index, "path": list(path)})


def _proofs(assembly: Assembly, deployed: Deployed, mine: torch.Tensor, shard: Shard, stop: Stop) -> None:
    folder = assembly.proofs_folder(deployed)
    claims = open_claims(assembly, deployed, mine)
    handed = _handed_out(claims, assembly.run.data.inputs, stop)
    proofs = deployed.prover.prove(handed) if deployed.in_reach else _confirmations(deployed, handed)
    told = Running(assembly, deployed.job, len(claims))
    with Appender(folder / shard.part) as part:
        for proof, seconds in _timed(proofs, assembly.context.clock):
            part.append(proof_row(proof, deployed.heads, seconds))
            told.add(proof)


def _timed(proofs: Iterable[Proof], clock: Callable[[], float]) -> Iterator[tuple[Proof, float]]:
    """Each proof with the seconds since the one before it, the first with those since the work began."""
    before = clock()
    for proof in proofs:
        now = clock()
        yield proof, now - before
        before = now


def _handed_out(claims: Sequence[OpenClaim], inputs: Inputs, stop: Stop) -> Iterator[Claim]:
    for index, wanted in claims:
        if stop():
            return
        yield Claim(inputs[index : index + 1], wanted)


def _confirmations(deployed: Deployed, claims: Iterable[Claim]) -> Iterator[Proof]:
    """Rows of a random node on a view out of reach: whether a test on fresh draws names the chosen child."""
    for claim in claims:
        decided = deployed.prover.decide(claim.inputs, Purpose.PREDICT, deployed.prover.alpha)
        rows = {}
        for head, child in claim.chosen.items():
            sure = int(decided[head][0]) == child
            radius = float("inf") if sure else 0.0
            radii = tuple(0.0 if k == child else radius for k in range(len(head.children)))
            rows[head] = Row(child, radius, radii, {"confirmed": sure})
        yield Proof(claim.index, rows)
