"""The arithmetic of the toys."""

import torch
from scipy import stats

from hiercls.contracts.ascent import ascend
from hiercls.contracts.components import Examples
from hiercls.contracts.pointwise import Pointwise
from hiercls.contracts.provers import Proof, Row
from hiercls.values.draws import Purpose, standard_normal
from hiercls.values.heads import ABSTAIN
from hiercls.words.errors import DataError
from hiercls.words.norms import L2
from hiercls.words.threats import EVERYWHERE, Domain


def deploy_half_spaces(fault, network, heads, view, context):
    if fault == "freezes":
        network.requires_grad_(False)
    if fault == "negates":
        with torch.no_grad():
            network[1].bias.mul_(1.0000001).add_(1e-3)
    if fault == "hooks":
        network.register_forward_hook(lambda *_: None)
    if fault == "switches mode":
        network.train()
    prover = {"eager": Eager, "forgets": Forgets, "trusts": Trusts, "flat scores": Flat}.get(fault, HalfSpaceProver)
    found = prover(network, heads, view, EVERYWHERE, context)
    found.fault = fault
    if fault == "follows":
        found.network = network.requires_grad_(False)
    if fault == "narrow domain":
        found.domain = Domain("box", 0.4, 0.6)
    return found


class HalfSpaceProver(Pointwise):
    norm = L2
    fault = ""

    def radii(self, network, head, x):
        weight = network[1].weight.double()
        logits = x.double().flatten(1) @ weight.T + network[1].bias.double()
        decided = head.decide(network(x))
        leader = logits[:, list(head.allowed)].argmax(dim=1)
        leader = torch.tensor(head.allowed)[leader]
        found = []
        for outputs in head.outputs:
            rivals = [(_margin(logits, leader, k) / _slope(weight, leader, k)).nan_to_num(0.0) for k in outputs]
            found.append(torch.stack(rivals).amin(dim=0))
        radii = torch.stack(found, dim=1).clamp_min(0.0) * (1 - 1e-4)
        radii[decided == ABSTAIN] = 0.0
        return self._spoiled(radii)

    def _spoiled(self, radii):
        if self.fault == "5% too much":
            return radii * 1.05
        if self.fault == "half":
            return radii * 0.5
        if self.fault == "batch":
            return radii * (0.9 if self.context.batch == 1 else 1.0)
        if self.fault == "unseeded":
            return radii * (0.9 + 0.1 * torch.rand(1).double())
        if self.fault == "never 0":
            return torch.full_like(radii, 0.01)
        return radii


def _margin(logits, leader, rival):
    return logits.gather(1, leader[:, None]).squeeze(1) - logits[:, rival]


def _slope(weight, leader, rival):
    return torch.linalg.vector_norm(weight[leader] - weight[rival], dim=1)


class Eager(HalfSpaceProver):
    def prove(self, claims):
        return super().prove(iter(list(claims)))


class Forgets(HalfSpaceProver):
    def prove(self, claims):
        for place, proof in enumerate(super().prove(claims)):
            if place != 3:
                yield proof


class Trusts(HalfSpaceProver):
    """Proves what is claimed, without looking at the decision."""

    def prove(self, claims):
        for claim in claims:
            ((head, chosen),) = claim.chosen.items()
            radii = [0.0 if k == chosen else 0.01 for k in range(len(head.children))]
            yield Proof(claim.index, {head: Row(chosen, 0.01, tuple(radii))})


class Flat(HalfSpaceProver):
    def scores(self, inputs, draws, step):
        return {
            head: values.detach() + 0 * inputs.views[self.view].flatten(1).sum(dim=1, keepdim=True)
            for head, values in super().scores(inputs, draws, step).items()
        }


class VotingProver:
    norm = L2
    domain = EVERYWHERE

    def __init__(self, options, network, heads, view, context):
        state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        self.network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(*reversed(state["1.weight"].shape)))
        self.network.load_state_dict(state)
        self.options, self.heads, self.view, self.context = options, tuple(heads), view, context
        self.alpha = context.alpha

    def decide(self, inputs, purpose, alpha=None):
        level = self.alpha if alpha is None else alpha
        return {
            head: torch.tensor([self._decide(inputs[n : n + 1], head, purpose, level) for n in range(len(inputs))])
            for head in self.heads
        }

    def _decide(self, one, head, purpose, alpha):
        chosen = int(self._counts(one, head, Purpose.SELECT).argmax())
        counts = self._counts(one, head, purpose)
        first = int(counts[chosen])
        second = max(int(count) for k, count in enumerate(counts) if k != chosen)
        if first + second == 0:
            return ABSTAIN
        even = stats.binomtest(first, first + second, 0.5).pvalue
        decides = purpose is Purpose.SELECT or self.options.fault == "never abstains" or even <= alpha
        return chosen if decides and first > second else ABSTAIN

    def prove(self, claims):
        for claim in claims:
            rows = {head: self._row(claim.inputs, head, chosen) for head, chosen in claim.chosen.items()}
            yield Proof(claim.index, rows)

    def _row(self, one, head, chosen):
        counts = self._counts(one, head, Purpose.ESTIMATE)
        count, draws = int(counts[chosen]), self.options.draws
        if self.options.fault == "no confidence":
            lower = min(count / draws, 0.9999)
        else:
            lower = float(stats.beta.ppf(self.alpha, count, draws - count + 1)) if count else 0.0
        radius = self.options.sigma * float(stats.norm.ppf(lower)) if lower > 0.5 else 0.0
        if self.options.fault == "half":
            radius /= 2
        allowed = one.allowed_children(head.children)
        open_children = [True] * len(head.children) if allowed is None else allowed[0].tolist()
        radii = [0.0 if k == chosen else radius if here else torch.inf for k, here in enumerate(open_children)]
        return Row(chosen, radius, tuple(radii), {"count": count})

    def _counts(self, one, head, purpose):
        seed = 0 if self.options.fault == "one seed" else self.context.seed
        x = one.views[self.view]
        shape = (self.options.draws, *x.shape[1:])
        noise = standard_normal(seed, purpose, int(one.index[0]), 0, shape, x.device)
        with torch.no_grad():
            logits = self.network(x + self.options.sigma * noise)
        allowed = one.allowed_children(head.children)
        children = list(range(len(head.children))) if allowed is None else allowed[0].nonzero().squeeze(1).tolist()
        decided = head.only(children).decide(logits)
        counts = torch.zeros(len(head.children), dtype=torch.long)
        for place, child in enumerate(children):
            counts[child] = (decided == place).sum()
        return counts

    def scores(self, inputs, draws, step):
        logits = self.network(inputs.views[self.view])
        found = {}
        for head in self.heads:
            allowed = inputs.allowed_children(head.children)
            scores = head.scores(logits)
            found[head] = scores if allowed is None else scores.masked_fill(~allowed, -torch.inf)
        return found


def climb(fault, prover, inputs, goal, budget, context):
    view, threat = context.threat.view, context.threat
    if fault == "ignores the budget":
        budget = budget.clamp_min(0.1)
    domain = EVERYWHERE if fault == "leaves the domain" else threat.domain
    clean = inputs.views[view]

    def value(x, step):
        scores = prover.scores(inputs.with_view(view, x), 1, step)[goal.head]
        aimed = scores.masked_fill(~goal.targets, -torch.inf).amax(dim=1)
        return aimed - scores.masked_fill(goal.targets, -torch.inf).amax(dim=1)

    generators = [context.generator(1, int(index)) for index in inputs.index]
    moved = ascend(value, clean, budget, threat.norm, domain, steps=40, step=0.25, restarts=1, generator=generators)
    if fault == "leaves the ball":
        moved = clean + (moved - clean) * 1.05
    if fault == "does nothing":
        moved = clean.clone()
    if fault == "unseeded":
        moved = clean + (moved - clean) * torch.rand(1)
    if fault == "in place":
        clean.copy_(moved)
    if fault == "spoils the network":
        prover.network.requires_grad_(True)
    return moved


def fit_means(fault, network, task, context):
    flat = task.x.flatten(1)
    means = torch.stack([flat[task.y == part].mean(dim=0) for part in range(len(task.parts))])
    entries, parts = means.shape[1], means.shape[0]
    if fault == "does not learn":
        means = torch.zeros_like(means)
    if fault == "unseeded":
        means = means + 0.01 * torch.randn_like(means)
    if fault == "in place":
        task.x.mul_(0.5)
    if fault == "needs held-out examples":
        means = means + 0 * task.held_out_x.mean()
    if fault == "scratch" and context.scratch is not None:
        means = means * 1.5
    linear = torch.nn.Linear(entries, parts)
    linear.load_state_dict({"weight": 2 * means, "bias": -means.pow(2).sum(dim=1)})
    if fault == "another network":
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Identity(), linear)
    network[1].load_state_dict(linear.state_dict())
    return network


def affine(fault, shape, outputs):
    entries = torch.Size(shape).numel()
    layers = [torch.nn.Flatten(), torch.nn.Linear(entries, outputs + (fault == "outputs"))]
    if fault == "idle parameter":
        layers[1].idle = torch.nn.Parameter(torch.zeros(1))
    if fault == "hidden state":
        layers.append(_Shift(torch.rand(1)))
    if fault == "mixes rows":
        layers.append(_Centred())
    if fault == "unseeded":
        layers[1].load_state_dict(
            {"weight": torch.randn(outputs, entries, generator=_fresh()), "bias": torch.zeros(outputs)}
        )
    return torch.nn.Sequential(*layers)


def _fresh():
    generator = torch.Generator()
    generator.seed()
    return generator


class _Shift(torch.nn.Module):
    def __init__(self, shift):
        super().__init__()
        self.shift = shift

    def forward(self, x):
        return x + self.shift


class _Centred(torch.nn.Module):
    def forward(self, x):
        return x - x.mean(dim=0)


def stripes(fault, split, root):
    if root is not None and fault != "never misses":
        raise DataError("stripes: not there" if fault == "silent" else f"stripes: sought in {root}; lay them out there")
    generator = torch.Generator().manual_seed({"train": 1, "test": 2}[split])
    if fault == "other examples each time":
        generator.seed()
    count = 30
    truth = torch.arange(count) % 3
    x = 0.2 * torch.rand(count, 1, 3, 3, generator=generator)
    x[torch.arange(count), 0, truth] += 0.7
    allowed = torch.ones(count, 3, dtype=torch.bool)
    allowed[torch.arange(count), (truth + (0 if fault == "forbids the truth" else 1)) % 3] = False
    if fault == "range":
        x = x * 255
    if fault == "float64":
        x = x.double()
    if fault == "one-based":
        truth = truth + 1
    tracks = torch.arange(count - (fault == "tracks")) // 5
    return Examples({"image": x}, truth, {"place": allowed}, tracks)
