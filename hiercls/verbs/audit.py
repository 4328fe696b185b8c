"""Attack every certificate inside its own radius.

For a deterministic node one replayed success is a break. For a random node a flip counts when fresh draws
prove at 1e-6 that the ideal decision at the perturbed input is an excluded child; certificates are broken
when more inputs flip than their level explains.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace

import torch
from scipy.stats import binom

from hiercls.contracts.components import Goal
from hiercls.contracts.context import Context, Progress, silent
from hiercls.values.certificates import NodeCertificates
from hiercls.values.draws import Purpose
from hiercls.values.heads import Head
from hiercls.values.labels import Node
from hiercls.values.perturbations import diameter, distance, within
from hiercls.values.records import digest, read_json, write_atomic
from hiercls.values.views import Inputs
from hiercls.verbs.assembly import Assembly, assembled, certified, finished_inputs
from hiercls.verbs.power import power
from hiercls.whole.classifier import Classifier, Deployed
from hiercls.whole.plan import identity
from hiercls.whole.proofs import proof_key
from hiercls.whole.runs import Run
from hiercls.wiring.specs import AuditSpec
from hiercls.words.errors import CertificateBroken

FLIP_LEVEL = 1e-6
FARTHEST = 1e3
"""How far an infinite radius is attacked on an unbounded domain."""


@dataclass(frozen=True)
class Flip:
    """A perturbation inside a certified radius that makes a node choose an excluded child."""

    index: int
    node: str
    child: str
    radius: float
    distance: float
    random: bool


@dataclass(frozen=True)
class SystemAudit:
    """The audit of one system.

    Attributes:
        inputs: how many inputs were audited.
        radii: how many positive radii were attacked.
        level: the largest joint level of an input's random rows; 0 for deterministic systems.
        flips: what was found.
        tolerated: how many inputs with a flip at random nodes the level explains, at 1e-6.
        broken: whether the certificates are broken.
    """

    inputs: int
    radii: int
    level: float
    flips: tuple[Flip, ...]
    tolerated: int
    broken: bool


def audit(
    run: Run, inputs: int | None = None, spec: AuditSpec | None = None, progress: Progress = silent
) -> dict[str, object]:
    """Audit what is certified, and keep the result; the same audit again is read, not redone.

    Args:
        inputs: audit this many of the certified inputs in the place of what the recipe asks for.

    Raises:
        CertificateBroken: an attack succeeded; the result is kept.
    """
    run.prepare("audit")
    spec = run.recipe.audit if spec is None else spec
    assembly = assembled(run, progress=progress)
    finished = finished_inputs(assembly)
    count = min(len(finished), spec.inputs if inputs is None else inputs)
    facts = [[proof_key(each, run.data) for each in assembly.deployed], identity(spec.attack)]
    place = run.folder / "audit" / digest([facts, finished[:count].tolist()]) / "audit.json"
    if not place.exists():
        write_atomic(place, json.dumps(_audited(assembly, count, spec, progress), indent=2) + "\n")
    result = read_json(place)
    broken = [name for name, system in result["systems"].items() if system["broken"]]
    if broken:
        raise CertificateBroken(f"audit: certificates of {', '.join(broken)} are broken; the flips are in {place}")
    return result


def _audited(assembly: Assembly, count: int, spec: AuditSpec, progress: Progress) -> dict[str, object]:
    context = replace(assembly.context, progress=progress)
    started = context.clock()
    everything = certified(assembly)
    systems = {}
    for classifier in assembly.classifiers:
        found = everything[classifier.system.name]
        inputs = assembly.run.data.inputs[finished_inputs(assembly)[:count]]
        nodes = {node: _first(rows, count) for node, rows in found.nodes.items()}
        level = float(found.joint_alpha[:count].max()) if count else 0.0
        systems[classifier.system.name] = asdict(audit_system(classifier, inputs, nodes, level, spec, context))
    certifiers = {each.job: each for each in assembly.deployed if each.certifier and each.in_reach}
    return {
        "systems": systems,
        "power": {job: power(each, spec, context) for job, each in certifiers.items()},
        "attack": identity(spec.attack),
        "seconds": round(context.clock() - started, 1),
    }


def audit_system(
    classifier: Classifier,
    inputs: Inputs,
    nodes: Mapping[Node, NodeCertificates],
    level: float,
    spec: AuditSpec,
    context: Context,
) -> SystemAudit:
    """Attack the own and the targeted radii of every node's rows."""
    flips: list[Flip] = []
    attacked = 0
    for done, node in enumerate(classifier.tree.decisions):
        deployed = classifier.nodes[node]
        if not deployed.in_reach or deployed.certifier is None:
            continue
        rows = nodes[node]
        context.progress(done, len(classifier.tree.decisions), system=classifier.system.name)
        for where, goal, budget in cases(classifier.head(node), rows):
            attacked += len(where)
            for found in _flips(deployed, inputs[where], goal, budget, spec, context):
                name = classifier.tree.name
                flips.append(Flip(found[0], name(node), name(rows.children[found[1]]), *found[2:], deployed.random))
    random = len({flip.index for flip in flips if flip.random})
    tolerated = int(binom.ppf(1 - FLIP_LEVEL, len(inputs), level)) if level else 0
    broken = random > tolerated or any(not flip.random for flip in flips)
    return SystemAudit(len(inputs), attacked, level, tuple(flips), tolerated, broken)


def cases(head: Head, rows: NodeCertificates) -> Iterator[tuple[torch.Tensor, Goal, torch.Tensor]]:
    """What is attacked: any other child within the own radius, and each child within a larger radius of its own."""
    count = len(rows.children)
    others = torch.ones(len(rows.chosen), count, dtype=torch.bool)
    decided = rows.chosen >= 0
    others[decided, rows.chosen[decided]] = False
    reachable = others & rows.radii.isfinite()
    own = ((rows.own > 0) & reachable.any(dim=1)).nonzero().squeeze(1)
    if len(own):
        yield own, Goal(head, reachable[own]), rows.own[own]
    for child in range(count):
        farther = (reachable[:, child] & (rows.radii[:, child] > rows.own)).nonzero().squeeze(1)
        if len(farther):
            targets = torch.zeros(len(farther), count, dtype=torch.bool)
            targets[:, child] = True
            yield farther, Goal(head, targets), rows.radii[farther, child]


def _flips(
    deployed: Deployed, inputs: Inputs, goal: Goal, radius: torch.Tensor, spec: AuditSpec, context: Context
) -> list[tuple[int, int, float, float]]:
    """Index, child, radius and distance of each success."""
    threat = context.threat
    clean = inputs.views[deployed.view]
    reach = diameter(threat.domain, threat.norm, clean[0].numel()) if threat.domain.bounded else FARTHEST
    budget = radius.clamp_max(reach)
    moved = spec.attack.perturb(deployed.prover, inputs, goal, budget, context)
    moved = within(moved, clean, budget, threat.norm, threat.domain)
    level = FLIP_LEVEL if deployed.random else None
    decided = deployed.prover.decide(inputs.with_view(deployed.view, moved), Purpose.AUDIT, level)[goal.head]
    hit = (decided >= 0) & goal.targets.gather(1, decided.clamp_min(0)[:, None]).squeeze(1)
    lengths = distance(moved, clean, threat.norm)
    return [
        (int(inputs.index[k]), int(decided[k]), float(radius[k]), float(lengths[k]))
        for k in hit.nonzero().squeeze(1).tolist()
    ]


def _first(rows: NodeCertificates, count: int) -> NodeCertificates:
    return replace(rows, chosen=rows.chosen[:count], own=rows.own[:count], radii=rows.radii[:count])
