"""The paper's own rule for a flat network in a group: the true label itself must beat every label outside its group.

The metric `verified-error` asks less: some label must beat each label outside, and it may be another one for each.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch

from hiercls.values.labels import Node
from hiercls.values.records import digest, read_json, write_atomic
from hiercls.whole.runs import Run
from hiercls.words.threats import Domain
from hiercls_plugins.bounds.bounded import Bounded, Features
from hiercls_plugins.bounds.boxes import enclosing
from hiercls_plugins.bounds.crown import Crown
from hiercls_plugins.bounds.exclusion import leads, output_errors
from hiercls_plugins.bounds.rounding import FLOAT32

BATCH = 100


def by_truth(run: Run, flat: str, eps: float) -> float:
    """The verified inter-group error of a flat network by the paper's rule, at the root split of the run's tree.

    It is kept in the run's folder, and computed once for a network, a budget, a domain and a split.
    """
    networks, tree = run.networks(run.tree), run.tree
    groups, domain = tree.children(tree.root), run.recipe.threat.domain
    facts = [networks.weights_sha(flat), eps, [sorted(group) for group in groups], run.data.test_fingerprint]
    facts.append([domain.lower, domain.upper])
    kept = run.folder / "by-truth" / f"{digest(facts)}.json"
    if not kept.exists():
        network = networks.load(flat).to(run.device)
        test = run.data.test
        images = test.views[run.recipe.threat.view]
        parts = zip(images.split(BATCH), test.truth.split(BATCH), strict=True)
        holds = [beats_all_outside(network, x.to(run.device), y, groups, eps, domain) for x, y in parts]
        write_atomic(kept, f"{float((~torch.cat(holds)).double().mean())!r}\n")
    return float(read_json(kept))


@torch.no_grad()
def beats_all_outside(
    network: torch.nn.Module, x: torch.Tensor, truth: torch.Tensor, groups: Sequence[Node], eps: float, domain: Domain
) -> torch.Tensor:
    """Whether, within `eps`, the true label's output is above all those outside its group, (N,) bool.

    By interval bounds, then by CROWN-IBP with adaptive and with zero slopes; each proof stands alone.

    Args:
        network: in eval mode, one output a label.
    """
    bounded = Bounded(deepcopy(network).double(), FLOAT32)
    budgets = torch.full((len(x),), eps, dtype=torch.float64, device=x.device)
    features = bounded.features(enclosing(x, budgets, domain), keep=True)
    labels = tuple(range(len(features.weight)))
    truth, rows = truth.to(x.device), torch.arange(len(x), device=x.device)
    margins = torch.stack(list(leads(features, labels, FLOAT32)), dim=1)[rows, truth]
    beaten = (margins > 0) & margins.isfinite() | _inside(groups, len(labels))[truth.cpu()].to(x.device)
    for adaptive in (True, False):
        if bool(beaten.all()):
            break
        beaten |= _by_crown(bounded, features, truth, adaptive)
    return beaten.all(dim=1).cpu()


def _by_crown(bounded: Bounded, features: Features, truth: torch.Tensor, adaptive: bool) -> torch.Tensor:
    """The labels that linear bounds prove beaten by the truth, (N, K)."""
    identity = torch.eye(len(features.weight), dtype=features.weight.dtype, device=truth.device)
    margins = Crown(bounded, features).lowest(identity[truth][:, None] - identity, adaptive)
    errors, safe = output_errors(features, tuple(range(len(identity))), FLOAT32)
    margins = margins - errors - errors.gather(1, truth[:, None])
    return (margins > 0) & margins.isfinite() & safe


def _inside(groups: Sequence[Node], labels: int) -> torch.Tensor:
    """(K, K) bool: two labels of one group."""
    found = torch.zeros(labels, labels, dtype=torch.bool)
    for group in groups:
        members = torch.tensor(sorted(group))
        found[members[:, None], members] = True
    return found
