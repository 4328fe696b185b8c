"""What a certification will cost, told before it starts."""

import os
from collections.abc import Sequence
from math import ceil

import torch

from hiercls.contracts.context import silent
from hiercls.contracts.provers import Estimate, Estimating
from hiercls.verbs.assembly import Assembly, open_claims
from hiercls.verbs.stopping import Stop
from hiercls.whole.classifier import Deployed
from hiercls.whole.proofs import read_paths


def tell_costs(assembly: Assembly, shares: Sequence[torch.Tensor], stop: Stop) -> None:
    """Tell what is left to do at most, one sentence a prover that can estimate it; nothing where nobody listens.

    Args:
        shares: the inputs of each process that will work at the same time.
    """
    if assembly.context.progress is silent:
        return
    for deployed in assembly.proved_by:
        if not (deployed.in_reach and isinstance(deployed.prover, Estimating)):
            continue
        left, unnamed = _left(assembly, deployed, torch.cat(list(shares)))
        if not left or stop():
            continue
        one = assembly.run.data.inputs[min(left) : min(left) + 1]
        estimate = deployed.prover.estimate(one, unnamed, len(left))
        processes = min(sum(bool(left.intersection(share.tolist())) for share in shares), _at_once(assembly))
        longest = max(len(left.intersection(share.tolist())) for share in shares) / len(left)
        inputs = f"{deployed.job}: {'up to ' if unnamed else ''}{len(left):,} inputs"
        time = _time(estimate, max(longest, 1 / processes), assembly.context.device, processes)
        assembly.context.progress(0, len(left), note=f"{inputs}{_draws(estimate)}{time}")


def _left(assembly: Assembly, deployed: Deployed, mine: torch.Tensor) -> tuple[set[int], int]:
    """The inputs that may come to a prover and have no row, and how often it is asked to name a path's decision."""
    paths = [read_paths(assembly.paths_folder(classifier)) for classifier in assembly.classifiers]
    unnamed = [{index for index in mine.tolist() if index not in rows} for rows in paths]
    asked = [deployed in classifier.nodes.values() for classifier in assembly.classifiers]
    left = {index for index, _ in open_claims(assembly, deployed, mine)}.union(*unnamed)
    return left, sum(len(inputs) for inputs, asks in zip(unnamed, asked, strict=True) if asks)


def _at_once(assembly: Assembly) -> int:
    """How many processes do not slow one another: one on a device that they share, else as many as have cores."""
    if assembly.context.device != "cpu":
        return 1
    return max(1, (os.cpu_count() or 1) // assembly.context.threads)


def _draws(estimate: Estimate) -> str:
    return f", at most {estimate.draws:,} draws" if estimate.draws else ""


def _time(estimate: Estimate, share: float, device: str, processes: int) -> str:
    """Its time, where it is known.

    Args:
        share: of the work, in the process that has most of it.
    """
    if estimate.seconds is None:
        return ""
    where = f"{device} in {processes} processes" if processes > 1 else device
    each = " each" if processes > 1 else ""
    rate = f" ({estimate.draws / estimate.seconds:,.0f} draws/s{each})" if estimate.draws and estimate.seconds else ""
    return f", about {duration(estimate.seconds * share)} or less on {where}{rate}"


def duration(seconds: float) -> str:
    """A length of time in words, rounded up to what matters of it.

    >>> duration(12.1), duration(2_000), duration(7_750), duration(200_000)
    ('13 s', '34 min', '2 h 10 min', '2 d 8 h')
    """
    if seconds <= 90:
        return f"{ceil(seconds)} s"
    minutes = ceil(seconds / 60)
    if minutes <= 90:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = ceil(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"
