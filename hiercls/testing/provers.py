"""What every deployed certifier keeps, whatever it proves."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any
from unittest import SkipTest

import safetensors.torch
import torch

from hiercls.contracts.components import Certifier
from hiercls.contracts.provers import Estimating, Proof, Prover
from hiercls.testing.components import ComponentConformance, context, copied, require_untouched
from hiercls.testing.oracle import LinearOracle
from hiercls.testing.proofs import claims, counted, most_failures, prove, table
from hiercls.values.draws import Purpose
from hiercls.values.heads import ABSTAIN, Head, retrained
from hiercls.values.labels import Node
from hiercls.values.views import Inputs
from hiercls.words.errors import HierclsError
from hiercls.words.norms import Norm
from hiercls.words.threats import EVERYWHERE, Domain, Threat


def singles(*labels: int) -> tuple[Node, ...]:
    return tuple(frozenset((label,)) for label in labels)


TWO = retrained(singles(0, 1))


class ProverConformance(ComponentConformance):
    """The facts about a certifier that its radii do not enter.

    Attributes:
        norms: the norms to test; the certifier's own if none is named.
        distances: the smallest and largest exact radius of the test inputs.
        shape: of one input.
        count: of inputs.
    """

    norms: tuple[Norm, ...] = ()
    distances: tuple[float, float] = (0.05, 0.5)
    shape: tuple[int, ...] = (1, 3, 3)
    count: int = 24

    @abstractmethod
    def make(self) -> Certifier: ...

    def test_it_serves_the_threat_it_was_deployed_for(self) -> None:
        for norm in self._norms():
            oracle = self._oracle(norm)
            for domain in (EVERYWHERE, Domain()):
                prover = self._deploy(oracle.network(), (TWO,), norm, domain=domain)
                assert self.make().refusal(Threat(norm, domain=domain)) is None
                assert prover.norm == norm
                assert prover.domain.holds(domain), f"its proofs speak of {prover.domain}, not of {domain}"
                assert (prover.alpha > 0) == self.make().random, "alpha is positive for random proofs, and only then"
                assert tuple(prover.heads) == (TWO,)

    def test_its_decisions_are_those_of_the_network(self) -> None:
        for norm in self._norms():
            oracle = self._oracle(norm, nearest=self.distances[1])
            prover = self._deploy(oracle.network(), (TWO,), norm)
            for purpose in (Purpose.SELECT, Purpose.PREDICT, Purpose.AUDIT):
                decided = prover.decide(oracle.inputs, purpose)[TWO]
                assert decided.shape == (self.count,)
                assert decided.dtype == torch.int64
                wrong = int((decided != oracle.decide(TWO)).sum())
                assert wrong == 0, f"{wrong} of {self.count} decisions far from the boundary are wrong ({purpose.name})"

    def test_children_without_an_allowed_label_are_never_chosen(self) -> None:
        head = retrained(singles(0, 1, 2))
        oracle = LinearOracle.random(3, self.shape, self.count, seed=5)
        forbidden = oracle.decide(head)
        allowed = torch.arange(3) != forbidden[:, None]
        inputs = Inputs(oracle.inputs.index, oracle.inputs.views, allowed, "location")
        prover = self._deploy(oracle.network(), (head,), self._norms()[0])
        for purpose in (Purpose.SELECT, Purpose.PREDICT):
            assert not bool((prover.decide(inputs, purpose)[head] == forbidden).any())
        scores = prover.scores(inputs, 4, 0)[head]
        assert bool((scores.gather(1, forbidden[:, None]) == -torch.inf).all()), "a forbidden child scores -inf"

    def test_scores_can_be_climbed(self) -> None:
        norm = self._norms()[0]
        oracle = self._oracle(norm, nearest=self.distances[1])
        prover = self._deploy(oracle.network(), (TWO,), norm)
        x = oracle.x.clone().requires_grad_(True)
        scores = prover.scores(oracle.inputs.with_view("image", x), 64, 0)[TWO]
        assert scores.shape == (self.count, 2)
        assert torch.equal(scores.argmax(dim=1), oracle.decide(TWO)), "the chosen child scores highest"
        (gradient,) = torch.autograd.grad((scores[:, 0] - scores[:, 1]).sum(), x)
        along = gradient.double().flatten(1) @ (oracle.weight[0] - oracle.weight[1]).double()
        assert bool((along > 0).all()), "the gradient of the scores leads towards the child"

    def test_a_wrong_claim_is_not_proved(self) -> None:
        norm = self._norms()[0]
        oracle = self._oracle(norm, nearest=self.distances[1])
        proved = table(self._proofs(oracle, norm, chosen=1 - oracle.decide(TWO)), TWO, self.count)
        assert not bool(proved.own.any()), "a child that is not chosen has no own radius"
        assert not bool(proved.radii.any()), "the child that is chosen has radius 0"

    def test_outputs_that_are_not_finite_support_no_claim(self) -> None:
        for value in (torch.nan, torch.inf, -torch.inf):
            oracle = self._oracle(self._norms()[0])
            broken = LinearOracle(oracle.weight, torch.tensor([value, 0.0]), oracle.x)
            prover = self._deploy(broken.network(), (TWO,), self._norms()[0])
            for purpose in (Purpose.SELECT, Purpose.PREDICT):
                decided = prover.decide(broken.inputs, purpose)[TWO]
                assert bool((decided == ABSTAIN).all()), f"an output of {value} is decided on"
            for child in (0, 1):
                chosen = {TWO: torch.full((self.count,), child)}
                proved = table(prove(prover, broken.inputs, chosen), TWO, self.count)
                assert not bool(proved.own.any() or proved.radii.any()), f"an output of {value} supports a claim"

    def test_ties_are_not_certified(self) -> None:
        self._require_deterministic("draws of a constant network all agree, rightly")
        oracle = self._oracle(self._norms()[0])
        flat = LinearOracle(torch.zeros_like(oracle.weight), torch.zeros(2), oracle.x)
        prover = self._deploy(flat.network(), (TWO,), self._norms()[0])
        proved = table(prove(prover, flat.inputs, {TWO: torch.zeros(self.count).long()}), TWO, self.count)
        assert not bool(proved.own.any() or proved.radii.any()), "a tie is certified"

    def test_undecided_votes_abstain(self) -> None:
        """Inputs on the boundary: votes are even, so a decision or a claim is an error of probability alpha."""
        if not self.make().random:
            raise SkipTest("a deterministic decision has no votes")
        norm = self._norms()[0]
        oracle = LinearOracle.at_distances(torch.zeros(self.count).double(), norm, self.shape, seed=6)
        prover = self._deploy(oracle.network(), (TWO,), norm)
        decided = int((prover.decide(oracle.inputs, Purpose.PREDICT)[TWO] != ABSTAIN).sum())
        claimed = int((table(self._proofs(oracle, norm), TWO, self.count).own > 0).sum())
        assert max(decided, claimed) <= most_failures(self.count, prover.alpha), "even votes are decided on"

    def test_the_same_seed_gives_the_same_rows(self) -> None:
        norm = self._norms()[0]
        oracle = self._oracle(norm)
        assert self._proofs(oracle, norm) == self._proofs(oracle, norm)
        if self.make().random:
            assert self._proofs(oracle, norm) != self._proofs(oracle, norm, seed=8), "another seed draws other noise"

    def test_the_batch_size_changes_no_row(self) -> None:
        norm = self._norms()[0]
        oracle = self._oracle(norm)
        assert self._proofs(oracle, norm, batch=1) == self._proofs(oracle, norm, batch=512)

    def test_neighbours_change_no_row(self) -> None:
        norm = self._norms()[0]
        oracle = self._oracle(norm)
        prover = self._deploy(oracle.network(), (TWO,), norm)
        decided = oracle.decide(TWO)
        together = prove(prover, oracle.inputs, {TWO: decided})
        some = torch.tensor([17, 3, 9])
        assert prove(prover, oracle.inputs[some], {TWO: decided[some]}) == {int(n): together[int(n)] for n in some}

    def test_claims_are_pulled_as_they_are_proved(self) -> None:
        norm = self._norms()[0]
        oracle = self._oracle(norm)
        prover = self._deploy(oracle.network(), (TWO,), norm, batch=4)
        pulled: list[int] = []
        asked = claims(oracle.inputs, {TWO: oracle.decide(TWO)})
        for finished, _ in enumerate(prover.prove(counted(asked, pulled))):
            assert len(pulled) - finished <= 4, "claims are pulled more than one batch ahead"

    def test_an_estimate_is_kept_and_changes_no_row(self) -> None:
        norm = self._norms()[0]
        oracle = self._oracle(norm)
        prover = self._deploy(oracle.network(), (TWO,), norm)
        if not isinstance(prover, Estimating):
            raise SkipTest("it estimates no cost, and need not")
        estimate = prover.estimate(oracle.inputs[:1], 0, self.count)
        proofs = prove(prover, oracle.inputs, {TWO: oracle.decide(TWO)})
        assert proofs == self._proofs(oracle, norm), "an estimate changes rows"
        spent = sum(int(proof.rows[TWO].evidence.get("draws", 0)) for proof in proofs.values())
        assert spent <= estimate.draws, f"{spent} draws where at most {estimate.draws} were estimated"
        assert estimate.seconds is None or estimate.seconds >= 0

    def test_saved_and_loaded_weights_give_the_same_rows(self) -> None:
        norm = self._norms()[0]
        oracle = self._oracle(norm)
        content = safetensors.torch.save(oracle.network().state_dict())
        fresh = LinearOracle.random(2, self.shape, 1, seed=99).network()
        fresh.load_state_dict(safetensors.torch.load(content))
        loaded = prove(self._deploy(fresh, (TWO,), norm), oracle.inputs, {TWO: oracle.decide(TWO)})
        assert loaded == self._proofs(oracle, norm)

    def test_the_given_network_stays_as_it_is(self) -> None:
        norm = self._norms()[0]
        oracle = self._oracle(norm)
        for training in (False, True):
            network = oracle.network().train(training)
            before = copied(network)
            try:
                prover = self._deploy(network, (TWO,), norm)
            except HierclsError:
                require_untouched(before, network, "a refused deploy")
                continue
            self._use(prover, oracle)
            require_untouched(before, network, type(self.make()).__name__)

    def test_what_was_deployed_does_not_follow_the_network(self) -> None:
        norm = self._norms()[0]
        oracle = self._oracle(norm)
        network = oracle.network()
        prover = self._deploy(network, (TWO,), norm)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.neg_()
        assert prove(prover, oracle.inputs, {TWO: oracle.decide(TWO)}) == self._proofs(oracle, norm)

    def _require_deterministic(self, reason: str) -> None:
        if self.make().random:
            raise SkipTest(reason)

    def _norms(self) -> tuple[Norm, ...]:
        return self.norms or (self.make().norm,)

    def _oracle(self, norm: Norm, nearest: float | None = None) -> LinearOracle:
        low, high = self.distances
        spread = torch.linspace(low if nearest is None else nearest, high, self.count, dtype=torch.float64)
        return LinearOracle.at_distances(spread, norm, self.shape, seed=1)

    def _deploy(
        self,
        network: torch.nn.Module,
        heads: tuple[Head, ...],
        norm: Norm,
        domain: Domain = EVERYWHERE,
        **changes: Any,
    ) -> Prover:
        return self.make().deploy(network, heads, "image", context(Threat(norm, domain=domain), **changes))

    def _proofs(
        self, oracle: LinearOracle, norm: Norm, chosen: torch.Tensor | None = None, **changes: Any
    ) -> Mapping[int, Proof]:
        prover = self._deploy(oracle.network(), (TWO,), norm, **changes)
        return prove(prover, oracle.inputs, {TWO: oracle.decide(TWO) if chosen is None else chosen})

    def _use(self, prover: Prover, oracle: LinearOracle) -> None:
        prover.decide(oracle.inputs, Purpose.SELECT)
        prove(prover, oracle.inputs, {TWO: oracle.decide(TWO)})
        x = oracle.x.clone().requires_grad_(True)
        prover.scores(oracle.inputs.with_view("image", x), 4, 0)[TWO].sum().backward()
