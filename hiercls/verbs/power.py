"""The power of an audit: how many overstated radii it would have caught, where the truth is known."""

from dataclasses import replace
from math import prod

import torch

from hiercls.contracts.components import Goal
from hiercls.contracts.context import Context
from hiercls.values.draws import Purpose
from hiercls.values.heads import Head, retrained
from hiercls.values.perturbations import within
from hiercls.values.views import Inputs
from hiercls.whole.classifier import Deployed
from hiercls.wiring.specs import AuditSpec
from hiercls.words.threats import EVERYWHERE

INFLATION = 1.05
NODES = 3
"""A tree of two levels: a root and a decision under each of its children."""


def power(deployed: Deployed, spec: AuditSpec, context: Context, count: int = 100) -> dict[str, float]:
    """The share of radii inflated by 5% that an audit with these settings catches on a linear tree.

    The tree's three decisions are linear with two children each, deployed by the run's own certifier. The
    exact radius of a linear decision, smoothed with Gaussian noise or not, is its margin over the dual
    norm of the difference of its rows (Cohen et al. 2019, Proposition 1). Radii are uniform in the range
    that such a certifier can hold: up to twice the norm-wise size of a standard normal's margin.
    """
    assert deployed.certifier is not None
    threat = replace(context.threat, domain=EVERYWHERE)
    context = replace(context, threat=threat)
    caught = attacked = 0
    for node in range(NODES):
        network, head, inputs, radius = _linear_decision(deployed, context, node, count)
        prover = deployed.certifier.deploy(network, (head,), deployed.view, context)
        targets = torch.tensor([[False, True]]).expand(count, 2)
        budget = radius * INFLATION
        moved = spec.attack.perturb(prover, inputs, Goal(head, targets), budget, context)
        moved = within(moved, inputs.views[deployed.view], budget, threat.norm, threat.domain)
        level = 1e-6 if deployed.random else None
        decided = prover.decide(inputs.with_view(deployed.view, moved), Purpose.AUDIT, level)[head]
        caught += int((decided == 1).sum())
        attacked += count
    return {"caught": caught, "inflated": attacked, "share": caught / attacked}


def _linear_decision(
    deployed: Deployed, context: Context, node: int, count: int
) -> tuple[torch.nn.Module, Head, Inputs, torch.Tensor]:
    """A linear network with two outputs, and inputs that it gives to the first at known exact radii."""
    shape = deployed.shape
    entries = prod(shape)
    generator = context.generator(0xA0D17, node)
    weight = torch.randn(2, entries, generator=generator, dtype=torch.float64) / entries**0.5
    slope = weight[0] - weight[1]
    dual = float(torch.linalg.vector_norm(slope, ord=context.threat.norm.dual.p))
    asked = torch.rand(count, generator=generator, dtype=torch.float64)
    radius = (0.1 + 0.9 * asked) * 2 * float(slope.norm()) / dual
    x = torch.randn(count, entries, generator=generator, dtype=torch.float64)
    x += ((radius * dual - x @ slope) / slope.dot(slope))[:, None] * slope
    linear = torch.nn.Linear(entries, 2)
    linear.load_state_dict({"weight": weight.float(), "bias": torch.zeros(2)})
    views = {deployed.view: x.float().reshape(count, *shape)}
    head = retrained((frozenset((0,)), frozenset((1,))))
    return torch.nn.Sequential(torch.nn.Flatten(), linear), head, Inputs(torch.arange(count), views), radius
