"""What every certifier keeps, measured on linear networks."""

from unittest import SkipTest

import torch

from hiercls.testing.components import context
from hiercls.testing.oracle import LinearOracle
from hiercls.testing.proofs import most_failures, one_sided_radius, prove, table
from hiercls.testing.provers import TWO, ProverConformance, singles
from hiercls.values.heads import Head, restricted, retrained
from hiercls.values.views import Inputs
from hiercls.words.norms import Norm
from hiercls.words.threats import EVERYWHERE, Domain, Threat

ROUNDING = 1 + 1e-9
"""What the oracle's own float64 arithmetic may err."""


class CertifierConformance(ProverConformance):
    """The facts that hold for a certifier, deployed on linear networks whose exact radii are known.

    Attributes:
        norms, distances, shape, count: see `ProverConformance`.
        tight: whether a deterministic certifier reaches 99% of the exact radius on two classes.
        sigma, draws: of a smoothing certifier with Cohen's one-sided bound; its mean radius is then held to
            the closed form. None for any other random certifier.
    """

    tight: bool = False
    sigma: float | None = None
    draws: int | None = None

    def test_no_radius_exceeds_the_exact_one_on_two_classes(self) -> None:
        for norm in self._norms():
            oracle = self._oracle(norm)
            self._require_below(oracle, TWO, norm, EVERYWHERE, None)

    def test_no_radius_exceeds_the_exact_one_inside_a_box(self) -> None:
        for norm in self._norms():
            oracle = LinearOracle.random(2, self.shape, self.count, seed=2)
            self._require_below(oracle, TWO, norm, Domain(), None)

    def test_no_radius_exceeds_the_exact_one_where_a_label_is_not_allowed(self) -> None:
        """Three labels, the middle one forbidden: a decision between the other two."""
        head = retrained(singles(0, 1, 2))
        allowed = torch.tensor([True, False, True]).expand(self.count, 3)
        for norm in self._norms():
            oracle = LinearOracle.random(3, self.shape, self.count, seed=3)
            self._require_below(oracle, head, norm, EVERYWHERE, allowed)

    def test_no_targeted_radius_exceeds_the_distance_to_its_child(self) -> None:
        """Four labels: flat, restricted to three of them, and grouped in two pairs."""
        self._require_deterministic("the boundary of a smoothed choice among several has no closed form")
        heads = (
            retrained(singles(0, 1, 2, 3)),
            restricted(singles(0, 2, 3)),
            restricted((frozenset((0, 2)), frozenset((1, 3)))),
        )
        for norm in self._norms():
            oracle = LinearOracle.random(4, self.shape, self.count, seed=4)
            for head in heads:
                self._require_below(oracle, head, norm, EVERYWHERE, None)

    def test_two_classes_are_certified_to_99_percent(self) -> None:
        self._require_deterministic("a sampled radius has an expectation, see its own test")
        if not self.tight:
            raise SkipTest("not declared tight")
        for norm in self._norms():
            oracle = self._oracle(norm)
            exact = oracle.distances(TWO, norm).amax(dim=1)
            own = table(self._proofs(oracle, norm), TWO, self.count).own
            assert bool((own >= 0.99 * exact).all()), (
                f"{norm}: only {float((own / exact).min()):.4f} of the exact radius"
            )

    def test_the_mean_radius_is_the_closed_form_for_its_draws(self) -> None:
        if self.sigma is None or self.draws is None:
            raise SkipTest("no sigma and draws are declared")
        norm = self._norms()[0]
        oracle = self._oracle(norm)
        alpha = context(Threat(norm)).alpha
        exact = oracle.distances(TWO, norm).amax(dim=1).tolist()
        moments = [one_sided_radius(distance, self.sigma, self.draws, alpha) for distance in exact]
        mean = sum(mean for mean, _ in moments)
        band = 5 * sum(variance for _, variance in moments) ** 0.5
        found = float(table(self._proofs(oracle, norm), TWO, self.count).own.sum())
        assert abs(found - mean) <= band, f"the radii sum to {found:.4f}; expected {mean:.4f} within {band:.4f}"

    def _require_below(
        self, oracle: LinearOracle, head: Head, norm: Norm, domain: Domain, allowed: torch.Tensor | None
    ) -> None:
        """Own and targeted radii at or below the exact distances, but for the failures that alpha allows."""
        children = [k for k in range(len(head.children)) if allowed is None or bool(allowed[0, k])]
        exact = oracle.distances(head.only(children), norm, domain)
        chosen = torch.tensor(children)[oracle.decide(head.only(children))]
        inputs = Inputs(oracle.inputs.index, oracle.inputs.views, allowed, "location")
        prover = self._deploy(oracle.network(), (head,), norm, domain)
        proved = table(prove(prover, inputs, {head: chosen}), head, len(oracle.x))
        nearest = exact.masked_fill(exact == 0, torch.inf).amin(dim=1)
        for name, over in (
            ("own", proved.own > nearest * ROUNDING),
            ("targeted", (proved.radii[:, children] > exact * ROUNDING).any(dim=1)),
        ):
            failures, most = int(over.sum()), most_failures(len(over), prover.alpha)
            assert failures <= most, f"{norm} in {domain}: {failures} of {len(over)} {name} radii exceed the exact ones"
