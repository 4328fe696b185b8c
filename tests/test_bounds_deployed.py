"""What decides is what was bounded, whatever else the network that was given does near an input and nowhere else.

Every network here has a gate that is shut at the input and at random points, and open in a corner of its ball.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hiercls.testing.components import context
from hiercls.testing.proofs import claims
from hiercls.values.draws import Purpose
from hiercls.values.heads import retrained
from hiercls.values.views import Inputs
from hiercls.words.errors import HierclsError
from hiercls.words.norms import LINF
from hiercls.words.threats import Domain, Threat
from hiercls_plugins.crown_ibp.certifier import CrownIbpCertifier
from hiercls_plugins.exact_linear.certifier import ExactLinear
from hiercls_plugins.ibp.certifier import IbpCertifier

HEAD = retrained([frozenset((0,)), frozenset((1,))])
ENTRIES = 64
AT, CORNER = 0.04, 0.0
"""Every entry of the input, and of the corner where the gate is open: their sums are 2.56 and 0, those of random 32."""


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.last, self.gate = nn.Linear(ENTRIES, 2), nn.Linear(ENTRIES, 1)
        self.last.weight.data = torch.tensor([[0.01], [-0.01]]).expand(2, ENTRIES).clone()
        self.last.bias.data = torch.tensor([1.0, 0.0])
        self.gate.weight.data.fill_(-1.0)
        self.gate.bias.data.fill_(2.0)
        self.register_buffer("move", torch.tensor([-10.0, 10.0]))
        self.register_buffer("table", torch.zeros(256).index_fill_(0, torch.tensor([10]), 1.0))
        self.calls = 0

    def opened(self, x):
        return torch.relu(self.gate(x)) * self.move


class Asks(Gated):
    """It looks at the type of its input."""

    def forward(self, x):
        x = x.flatten(1)
        return self.last(x) + self.opened(x) if isinstance(x, torch.Tensor) else self.last(x)


class Counts(Gated):
    """It changes after some passes."""

    def forward(self, x):
        self.calls += 1
        x = x.flatten(1)
        return self.last(x) + self.opened(x) * float(self.calls > 3)


class Borrows(Gated):
    """It runs a layer with other weights, which a trace does not show."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", self.gate.weight.data.clone())
        self.register_buffer("bias", self.gate.bias.data.clone())
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, x):
        x = x.flatten(1)
        gate = torch.func.functional_call(self.gate, {"weight": self.weight, "bias": self.bias}, (x,))
        return self.last(x) + torch.relu(gate) * self.move


class Wrapped(Gated):
    """It adds to what `forward` gives."""

    def _call_impl(self, x):
        return self.forward(x) + self.opened(x.flatten(1))

    def forward(self, x):
        return self.last(x.flatten(1))


class Precise(Gated):
    def forward(self, x):
        x = x.flatten(1)
        return self.last(x) + self.opened(x) * (x.dtype == torch.float32)


class Sized(Gated):
    """A constant that only a pass of many rows makes different in float32."""

    def __init__(self):
        super().__init__()
        self.table[10:13] = torch.tensor([1e8, 1.0, -1e8])

    def forward(self, x):
        x = x.flatten(1)
        return self.last(x) + self.opened(x) * torch.mean(torch.narrow(self.table, 0, 0, x.size(0)))


def deployed(network, certifier):
    threat = Threat(LINF, (0.01,), domain=Domain())
    return certifier.deploy(network.eval(), (HEAD,), "image", context(threat, batch=64))


def at(value):
    return Inputs(torch.arange(1), {"image": torch.full((1, 1, 8, 8), value)})


@pytest.mark.parametrize("certifier", [IbpCertifier(), CrownIbpCertifier()])
@pytest.mark.parametrize("kind", [Asks, Counts, Borrows, Wrapped])
def test_the_decision_holds_within_its_radius_whatever_a_trace_does_not_show(kind, certifier):
    prover = deployed(kind(), certifier)
    decided = prover.decide(at(AT), Purpose.SELECT)
    (proof,) = prover.prove(claims(at(AT), decided))
    assert proof.rows[HEAD].own > AT - CORNER
    assert prover.decide(at(CORNER), Purpose.PREDICT)[HEAD].tolist() == decided[HEAD].tolist() == [0]


def test_a_closed_form_decides_as_it_was_folded():
    prover = deployed(Asks(), ExactLinear())
    decided = prover.decide(at(AT), Purpose.SELECT)
    (proof,) = prover.prove(claims(at(AT), decided))
    assert proof.rows[HEAD].own > AT - CORNER
    assert prover.decide(at(CORNER), Purpose.PREDICT)[HEAD].tolist() == decided[HEAD].tolist() == [0]
    assert Asks().eval()(at(CORNER).views["image"]).argmax(dim=1).tolist() == [1], "which the network itself is not"


@pytest.mark.parametrize(("kind", "named"), [(Precise, "'eq' makes a constant"), (Sized, "'mean' makes a constant")])
@pytest.mark.parametrize("certifier", [IbpCertifier(), CrownIbpCertifier()])
def test_a_constant_of_the_precision_or_of_the_size_of_a_pass_is_refused(kind, named, certifier):
    prover = deployed(kind(), certifier)
    with pytest.raises(HierclsError, match=named):
        list(prover.prove(claims(at(AT), prover.decide(at(AT), Purpose.SELECT))))


class Moving(Gated):
    """A buffer that its passes move, and a trace too."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.ones(1))

    def forward(self, x):
        self.total *= 1 + 2.0**-30
        return self.last(x.flatten(1)) * self.total


def test_a_number_that_tracing_moves_to_what_float32_does_not_hold_is_refused():
    with pytest.raises(HierclsError, match="moves total while it is traced"):
        deployed(Moving(), IbpCertifier())


@pytest.mark.parametrize("certifier", [IbpCertifier(), CrownIbpCertifier(), ExactLinear()])
def test_a_network_of_another_precision_is_refused(certifier):
    with pytest.raises(HierclsError, match=r"last.weight is float64; networks are deployed in float32"):
        deployed(Wrapped().double(), certifier)


@pytest.mark.parametrize("certifier", [IbpCertifier(), CrownIbpCertifier(), ExactLinear()])
def test_a_child_that_is_left_alone_is_chosen_also_where_the_network_overflows(certifier):
    network = Wrapped()
    network.last.weight.data.fill_(3e38)
    prover = deployed(network, certifier)
    found = []
    for value in (0.0, 1.0):
        inputs = Inputs(torch.arange(1), at(value).views, torch.tensor([[False, True]]), "place")
        decided = prover.decide(inputs, Purpose.SELECT)
        (proof,) = prover.prove(claims(inputs, decided))
        found.append((decided[HEAD].tolist(), proof.rows[HEAD].own))
    assert found == [([1], float("inf"))] * 2


class Untraceable(Gated):
    """Networks with a fault, by name; each is told in a sentence."""

    def __init__(self, fault):
        super().__init__()
        self.fault, self.slope = fault, nn.Parameter(torch.tensor(0.1))
        self.layers = {"layers in a dictionary": nn.Linear(ENTRIES, 2)}
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.few = nn.Linear(16, 2)

    def forward(self, x):
        if self.fault == "a pooling that gives places":
            return self.few(self.pool(x)[0].flatten(1))
        x = x.flatten(1)
        if self.fault in self.layers:
            return self.layers[self.fault](x)
        if self.fault == "the length of a batch":
            return self.last(x) * len(x)
        if self.fault == "a slope that is learned":
            return self.last(F.leaky_relu(x, self.slope))
        if self.fault == "a slope that float32 flushes":
            return self.last(F.leaky_relu(x, 1e-40))
        if self.fault == "one number an input":
            return self.last(x).mean(1)
        return self.last(x)[:200]


@pytest.mark.parametrize("certifier", [IbpCertifier(), CrownIbpCertifier()])
@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("a pooling that gives places", "MaxPool2d at 'pool' with these arguments .it gives places too"),
        ("layers in a dictionary", "Untraceable cannot be traced: module is not installed as a submodule"),
        ("the length of a batch", "Untraceable cannot be traced: 'len' is not supported"),
        ("a slope that is learned", "'leaky_relu' with these arguments .its slope is not a number"),
        ("a slope that float32 flushes", "its slope is less than the smallest normal float32"),
        ("one number an input", "a network must return one row of outputs an input"),
        ("200 rows", "'getitem' moves the batch from the first axis"),
    ],
)
def test_a_network_with_a_fault_is_told_in_a_sentence(fault, named, certifier):
    def certify():
        prover = deployed(Untraceable(fault), certifier)
        list(prover.prove(claims(at(AT), prover.decide(at(AT), Purpose.SELECT))))

    with pytest.raises(HierclsError, match=named):
        certify()
