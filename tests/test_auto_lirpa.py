"""Two engines of bounds, held to each other where the second is installed."""

import pytest
import torch
from lirpa_toys import NETWORKS, boxes, images, installed, network, radii, random_rows, singles

from hiercls.contracts.context import Context
from hiercls.testing.proofs import prove
from hiercls.values.heads import restricted, retrained
from hiercls.values.views import Inputs
from hiercls.words.norms import LINF
from hiercls.words.threats import Threat
from hiercls_plugins.auto_lirpa.engine import Engine
from hiercls_plugins.auto_lirpa.ranking import Ranking
from hiercls_plugins.bounds.bounded import Bounded
from hiercls_plugins.bounds.exclusion import excluded
from hiercls_plugins.bounds.rounding import PLAIN
from hiercls_plugins.ibp.certifier import IbpCertifier

lirpa = installed


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize("name", NETWORKS)
def test_both_engines_have_the_same_interval_bounds(name):
    engine, bounded = Engine(network(name), "ibp", 1), Bounded(network(name).double())
    rows, identity = random_rows(4, 10, 5), torch.eye(5, dtype=torch.float64).expand(4, 5, 5)
    for budget in (0.0, 0.004, 0.1):
        box = boxes(images(4), budget)
        features = bounded.features(box)
        assert torch.allclose(features.lowest(rows), engine.lowest(box, rows), rtol=1e-5, atol=1e-9)
        found = engine.lowest(box, torch.cat([identity, -identity], dim=1))
        assert torch.allclose(features.outputs().lower, found[:, :5], rtol=1e-5, atol=1e-9)
        assert torch.allclose(features.outputs().upper, -found[:, 5:], rtol=1e-5, atol=1e-9)


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize("name", ["dense", "convolutions"])
@pytest.mark.parametrize("budget", [0.004, 0.05])
def test_both_engines_have_the_same_linear_bounds_where_only_relus_bend(name, budget):
    crown = pytest.importorskip("hiercls_plugins.bounds.crown")
    made, box, rows = network(name), boxes(images(4), budget), random_rows(4, 7, 5)
    bounded = Bounded(network(name).double())
    features = bounded.features(box, keep=True)
    ours = crown.Crown(bounded, features).lowest(rows)
    theirs = Engine(made, "crown-ibp", 1)._lowest(box, rows, "crown-ibp")
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-9)
    assert bool((theirs > features.lowest(rows) + 1e-6).any()), "linear bounds are no interval bounds"


@pytest.mark.usefixtures("lirpa")
def test_both_engines_prove_the_same_radii_by_interval_bounds():
    made, head, x = network("convolutions"), retrained(singles(0, 1, 2, 3, 4)), images(24)
    made[-1].bias.data += 0.2 * torch.arange(5)
    chosen, theirs = radii(made, head, x, bound="ibp")
    ours = IbpCertifier().deploy(made, (head,), "image", Context(threat=Threat(LINF)))
    found = prove(ours, Inputs(torch.arange(24), {"image": x}), {head: chosen})
    native = torch.tensor([found[n].rows[head].radii for n in range(24)], dtype=torch.float64)
    assert int((native > 0).sum()) > 24
    big = native > 2e-3  # below, what both charge for float32 is no small share of the margin
    assert torch.allclose(native[big], theirs[big], rtol=0.01)


@pytest.mark.usefixtures("lirpa")
@pytest.mark.parametrize("parts", [singles(0, 1, 2, 3, 4), singles(0, 2, 4), [frozenset((0, 1)), frozenset((2, 3, 4))]])
def test_asking_only_larger_outputs_excludes_what_all_pairs_exclude(parts):
    made, x, head = network("dense", seed=3), images(64), restricted(parts)
    some = 0
    for budget in (0.002, 0.01, 0.03):
        box = boxes(x, budget)
        expected = excluded(Bounded(network("dense", seed=3).double()).features(box), head, PLAIN)
        engine = Engine(made, "ibp", 1)
        ranking = Ranking.of(engine.outputs(x), head)
        assert torch.equal(ranking.excluded(engine.lowest(box, ranking.rows()) > 0, head), expected)
        some += int(expected.sum())
    assert 0 < some < 3 * 64 * len(parts)
