"""The power of an audit: how many overstated radii it would have caught, where the truth is known."""

from dataclasses import replace
from math import prod

import torch

from hiercls.contracts.components import Attack, Goal
from hiercls.contracts.context import Context
from hiercls.values.heads import Head, retrained
from hiercls.values.perturbations import lengths
from hiercls.values.views import Inputs
from hiercls.verbs.flips import Case, successes
from hiercls.whole.classifier import Deployed
from hiercls.words.threats import EVERYWHERE

INFLATION = 1.05
UNKNOWN = "unknown: no radius is positive, or its certifier speaks of inputs in the threat's own domain alone"
"""What is told where no radius was inflated."""

NODES = 3
"""A tree of two levels: a root and a decision under each of its children."""


def power(
    deployed: Deployed, radii: torch.Tensor, attack: Attack, context: Context, count: int = 100
) -> dict[str, int]:
    """How many radii inflated by 5% an audit with these settings catches on a linear tree.

    The tree's three decisions are linear with two children each and deployed by the run's own certifier; their inputs
    lie at distances from the boundary that are drawn from the run's own positive radii. The exact radius of a linear
    decision, smoothed with Gaussian noise or not, is its margin over the dual norm of the difference of its rows
    (Cohen et al. 2019, Proposition 1). What is exercised is the attack and the deciding again, on all of space.

    Returns:
        `inflated`, how many radii were inflated; none where the run has no positive radius, or where its certifier
        speaks of no inputs but those of the threat's own domain. `caught`, of these.
    """
    assert deployed.certifier is not None
    context = replace(context, threat=replace(context.threat, domain=EVERYWHERE))
    caught = inflated = 0
    served = deployed.certifier.refusal(context.threat) is None
    for node in range(NODES if len(radii) and served else 0):
        drawn = torch.randint(len(radii), (count,), generator=context.generator(0xA0D17, node, 1))
        network, head, inputs = _linear_decision(deployed, context, node, radii[drawn])
        prover = deployed.certifier.deploy(network, (head,), deployed.view, context)
        goal = Goal(head, torch.tensor([[False, True]]).expand(count, 2))
        case = Case("targeted", torch.arange(count), goal, radii[drawn] * INFLATION)
        caught += len(successes(replace(deployed, prover=prover), inputs, case, attack, context))
        inflated += count
    return {"caught": caught, "inflated": inflated}


def _linear_decision(
    deployed: Deployed, context: Context, node: int, radii: torch.Tensor
) -> tuple[torch.nn.Module, Head, Inputs]:
    """A linear network with two outputs, and inputs that it gives to the first, at these exact radii."""
    entries = prod(deployed.shape)
    generator = context.generator(0xA0D17, node)
    weight = torch.randn(2, entries, generator=generator, dtype=torch.float64) / entries**0.5
    slope = weight[0] - weight[1]
    dual = float(lengths(slope[None], context.threat.norm.dual))
    x = torch.rand(len(radii), entries, generator=generator, dtype=torch.float64)
    x += ((radii * dual - x @ slope) / slope.dot(slope))[:, None] * slope
    linear = torch.nn.Linear(entries, 2)
    linear.load_state_dict({"weight": weight.float(), "bias": torch.zeros(2)})
    views = {deployed.view: x.float().reshape(len(radii), *deployed.shape)}
    head = retrained((frozenset((0,)), frozenset((1,))))
    return torch.nn.Sequential(torch.nn.Flatten(), linear), head, Inputs(torch.arange(len(radii)), views)
