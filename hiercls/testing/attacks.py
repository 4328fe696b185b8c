"""What every attack keeps: it stays where it may, and needs no less than the exact radius."""

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import torch

from hiercls.contracts.components import Attack, Goal
from hiercls.contracts.pointwise import Pointwise
from hiercls.testing.components import ComponentConformance, context, copied, require_untouched
from hiercls.testing.oracle import LinearOracle
from hiercls.testing.provers import TWO
from hiercls.values.draws import Purpose
from hiercls.values.heads import Head
from hiercls.values.perturbations import distance
from hiercls.values.views import Inputs
from hiercls.words.norms import L2, LINF, Norm
from hiercls.words.threats import EVERYWHERE, Domain, Threat


class Deciding(Pointwise):
    """A prover that decides and proves nothing: what an attack meets."""

    def radii(self, network: torch.nn.Module, head: Head, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(x), len(head.children), dtype=torch.float64)


class AttackConformance(ComponentConformance):
    """The facts that hold for an attack, on linear networks whose exact distances are known.

    Attributes:
        norms: the norms that it serves.
        domains: the domains that it serves.
        reach: the budget, in exact distances, at which it finds `share` of the perturbations or more.
        shape: of one input.
        count: of inputs.
    """

    norms: tuple[Norm, ...] = (LINF, L2)
    domains: tuple[Domain, ...] = (EVERYWHERE, Domain(), Domain("grid", 0.0, 1.0, 255))
    reach: float = 1.1
    share: float = 0.9
    shape: tuple[int, ...] = (1, 3, 3)
    count: int = 24

    @abstractmethod
    def make(self) -> Attack: ...

    def test_it_needs_no_less_than_the_exact_radius(self) -> None:
        for norm, domain in self._threats():
            oracle = self._oracle(domain)
            exact = self._exact(oracle, norm, domain)
            moved = self._perturb(oracle, norm, domain, exact * 1.5)
            flipped = self._flipped(oracle, moved)
            length = distance(moved, oracle.x, norm)
            assert bool((length[flipped] >= exact[flipped] * (1 - 1e-5)).all()), (
                f"{norm} in {domain}: too near to be true"
            )
            inside = self._flipped(oracle, self._perturb(oracle, norm, domain, exact * 0.999))
            assert not bool(inside.any()), f"{norm} in {domain}: a decision flipped inside its exact radius"

    def test_it_finds_what_lies_just_beyond_the_exact_radius(self) -> None:
        for norm, domain in self._threats():
            if domain.kind != "grid":
                oracle = self._oracle(domain)
                moved = self._perturb(oracle, norm, domain, self._exact(oracle, norm, domain) * self.reach)
                share = float(self._flipped(oracle, moved).double().mean())
                assert share >= self.share, f"{norm} in {domain}: found {share:.0%} at {self.reach} exact radii"

    def test_it_stays_within_the_budget_and_in_the_domain(self) -> None:
        for norm, domain in self._threats():
            oracle = self._oracle(domain)
            budget = torch.linspace(0.01, 1.0, self.count, dtype=torch.float64)
            moved = self._perturb(oracle, norm, domain, budget)
            assert moved.shape == oracle.x.shape
            assert bool(moved.isfinite().all()), "a perturbed input is not finite"
            length = distance(moved, oracle.x, norm)
            assert bool((length <= budget * (1 + 1e-6)).all()), f"{norm} in {domain}: further away than its budget"
            self._require_domain(moved, domain)

    def test_without_a_budget_nothing_moves(self) -> None:
        for norm, domain in self._threats():
            oracle = self._oracle(domain)
            moved = self._perturb(oracle, norm, domain, torch.zeros(self.count, dtype=torch.float64))
            assert torch.equal(moved, oracle.x), f"{norm} in {domain}: an input moved on a budget of 0"

    def test_the_same_seed_gives_the_same_perturbation(self) -> None:
        for norm, domain in self._threats():
            oracle = self._oracle(domain)
            budget = torch.full((self.count,), 0.1, dtype=torch.float64)
            first, second = (self._perturb(oracle, norm, domain, budget) for _ in range(2))
            assert torch.equal(first, second)

    def test_it_leaves_the_inputs_and_the_network_as_they_are(self) -> None:
        norm, domain = self.norms[0], self.domains[0]
        oracle = self._oracle(domain)
        clean = oracle.x.clone()
        prover = self._prover(oracle, norm, domain)
        before = copied(prover.network)
        self._perturb(oracle, norm, domain, torch.full((self.count,), 0.1, dtype=torch.float64), prover)
        assert torch.equal(oracle.x, clean), "the clean inputs were changed in place"
        require_untouched(before, prover.network, type(self.make()).__name__)

    def _threats(self) -> list[tuple[Norm, Domain]]:
        return [(norm, domain) for norm in self.norms for domain in self.domains]

    def _oracle(self, domain: Domain) -> LinearOracle:
        """Random inputs with a target within reach of the domain's walls, on the grid if there is one."""
        found = LinearOracle.random(2, self.shape, self.count, seed=11)
        return replace(found, x=(found.x * domain.levels).round() / domain.levels) if domain.kind == "grid" else found

    def _exact(self, oracle: LinearOracle, norm: Norm, domain: Domain) -> torch.Tensor:
        box = Domain("box", domain.lower, domain.upper) if domain.kind == "grid" else domain
        return oracle.distances(TWO, norm, box).amax(dim=1)

    def _prover(self, oracle: LinearOracle, norm: Norm, domain: Domain) -> Deciding:
        prover = Deciding(oracle.network(), (TWO,), "image", domain, context(Threat(norm, domain=domain)))
        prover.norm = norm
        return prover

    def _perturb(
        self, oracle: LinearOracle, norm: Norm, domain: Domain, budget: torch.Tensor, prover: Any = None
    ) -> torch.Tensor:
        goal = Goal(TWO, torch.arange(2) != oracle.decide(TWO)[:, None])
        inputs = Inputs(oracle.inputs.index, {"image": oracle.x})
        prover = prover or self._prover(oracle, norm, domain)
        return self.make().perturb(prover, inputs, goal, budget, context(Threat(norm, domain=domain)))

    def _flipped(self, oracle: LinearOracle, moved: torch.Tensor) -> torch.Tensor:
        prover = self._prover(oracle, L2, EVERYWHERE)
        decided = prover.decide(oracle.inputs.with_view("image", moved.float()), Purpose.PREDICT)[TWO]
        return decided != oracle.decide(TWO)

    def _require_domain(self, moved: torch.Tensor, domain: Domain) -> None:
        if domain.bounded:
            assert bool(((moved >= domain.lower) & (moved <= domain.upper)).all()), f"outside the domain {domain}"
        if domain.kind == "grid":
            steps = (moved.double() - domain.lower) * domain.levels / (domain.upper - domain.lower)
            assert float((steps - steps.round()).abs().max()) < 1e-3, f"beside the grid {domain}"
