"""A small convolutional network, its heads and images, what interval bounds prove of it, and an attack."""

import torch
from torch import nn

from hiercls.contracts.context import Context
from hiercls.contracts.fitting import Moment
from hiercls.contracts.provers import Claim
from hiercls.values.draws import Purpose
from hiercls.values.heads import restricted, retrained
from hiercls.values.views import Inputs
from hiercls.words.norms import LINF
from hiercls.words.threats import Domain, Threat
from hiercls_plugins.ibp.certifier import IbpCertifier

UNIT = Domain()


def at(passed, epochs=60):
    return Moment(int(passed), int(passed * 100), 100, epochs, torch.Generator())


def convolutional(outputs, seed=0):
    torch.manual_seed(seed)
    layers = (nn.Conv2d(1, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 12), nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(12, outputs)).eval()


def singles(*labels):
    return [frozenset((label,)) for label in labels]


def claims(inputs, decided):
    return [
        Claim(inputs[n : n + 1], {head: int(child[n]) for head, child in decided.items()}) for n in range(len(inputs))
    ]


def deploy(network, heads, budgets=(), domain=UNIT, batch=512, **options):
    context = Context(threat=Threat(LINF, tuple(budgets), domain=domain), batch=batch)
    return IbpCertifier(**options).deploy(network, tuple(heads), "image", context)


def rows(prover, inputs):
    decided = prover.decide(inputs, Purpose.SELECT)
    return {proof.index: proof.rows for proof in prover.prove(claims(inputs, decided))}


def images(count, seed=0):
    x = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return Inputs(torch.arange(count), {"image": x})


HEADS = (retrained(singles(0, 1, 2, 3)), restricted(singles(0, 2)), restricted([frozenset((0, 3)), frozenset((1, 2))]))


def pgd(network, head, x, child, budget, domain, steps=30):
    """Points of the ball where a child may score highest, and whether it was ever chosen, (N,) bool."""
    found = torch.zeros(len(x), dtype=torch.bool)
    reach = budget.float().reshape(-1, 1, 1, 1)
    for seed in range(3):
        noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        moved = (x + reach * noise).clamp(domain.lower, domain.upper)
        for _ in range(steps):
            moved.requires_grad_(True)
            scores = head.scores(network(moved))
            rivals = scores.detach().clone()
            rivals[torch.arange(len(x)), child] = -torch.inf
            gain = scores[torch.arange(len(x)), child] - scores[torch.arange(len(x)), rivals.argmax(1)]
            (gradient,) = torch.autograd.grad(gain.sum(), moved)
            moved = moved.detach() + reach / 6 * gradient.sign()
            moved = torch.maximum(torch.minimum(moved, x + reach), x - reach).clamp(domain.lower, domain.upper)
            inside = ((moved - x).double().abs() <= budget.reshape(-1, 1, 1, 1)).flatten(1).all(1)
            found |= inside & (head.decide(network(moved)) == child)
    return found
