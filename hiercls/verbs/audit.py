"""Attack every certificate inside its own radius.

For a deterministic node one replayed success is a break. For a random node a flip counts when fresh draws
prove at 1e-6 that the ideal decision at the perturbed input is an excluded child; certificates are broken
when more inputs flip than their level explains.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from hiercls.contracts.components import Attack
from hiercls.contracts.context import Progress, silent
from hiercls.values.certificates import NodeCertificates
from hiercls.values.records import digest, read_json, write_atomic
from hiercls.verbs.assembly import Assembly, assembled, certified, finished_inputs
from hiercls.verbs.flips import audit_system
from hiercls.verbs.power import power
from hiercls.whole.classifier import Deployed
from hiercls.whole.plan import described, identity
from hiercls.whole.runs import Run
from hiercls.words.errors import CertificateBroken, ConfigurationError


def audit(run: Run, inputs: int | None = None, progress: Progress = silent) -> dict[str, Any]:
    """Audit what is certified, and keep the result; the same audit again is read, not redone.

    Args:
        inputs: audit this many of the certified inputs in the place of what the recipe asks for.

    Raises:
        CertificateBroken: this audit, or an earlier one of the same certificates, succeeded. All are kept.
    """
    assembly = assembled(run, progress=progress)
    finished = finished_inputs(assembly)
    if not len(finished):
        raise ConfigurationError(f"{run.folder}: nothing is certified yet; run `hiercls certify` first")
    run.prepare("audit")
    audited = finished[: run.recipe.audit.inputs if inputs is None else inputs]
    attack = run.recipe.audit.attack
    place = audits_of(assembly) / f"{digest([identity(attack), audited.tolist()])}.json"
    if not place.exists():
        write_atomic(place, json.dumps(_audited(assembly, len(audited), attack, progress), indent=2) + "\n")
    for path in sorted(audits_of(assembly).glob("*.json")):
        broken = [name for name, system in read_json(path)["systems"].items() if system["broken"]]
        if broken:
            raise CertificateBroken(f"audit: certificates of {', '.join(broken)} are broken; the flips are in {path}")
    return dict(read_json(place))


def audits_of(assembly: Assembly) -> Path:
    """Where the audits of exactly these certificates are kept."""
    return assembly.run.folder / "audit" / assembly.key()


def _audited(assembly: Assembly, count: int, attack: Attack, progress: Progress) -> dict[str, Any]:
    context = replace(assembly.context, progress=progress)
    started = context.clock()
    everything = certified(assembly)
    inputs = assembly.run.data.inputs[finished_inputs(assembly)[:count]]
    systems = {}
    radii: dict[str, list[torch.Tensor]] = {}
    for classifier in assembly.classifiers:
        found = everything[classifier.system.name]
        nodes = {node: _first(rows, count) for node, rows in found.nodes.items()}
        level = float(found.joint_alpha[:count].max()) if count else 0.0
        systems[classifier.system.name] = asdict(audit_system(classifier, inputs, nodes, level, attack, context))
        for node, rows in nodes.items():
            radii.setdefault(classifier.nodes[node].job, []).append(rows.own)
    return {
        "systems": systems,
        "power": {each.job: power(each, _positive(radii[each.job]), attack, context) for each in _attackable(assembly)},
        "attack": described(attack),
        "seconds": round(context.clock() - started, 1),
    }


def _attackable(assembly: Assembly) -> list[Deployed]:
    return [each for each in assembly.deployed if each.certifier and each.in_reach]


def _positive(radii: list[torch.Tensor]) -> torch.Tensor:
    together = torch.cat(radii)
    return together[(together > 0) & together.isfinite()]


def _first(rows: NodeCertificates, count: int) -> NodeCertificates:
    return replace(rows, chosen=rows.chosen[:count], own=rows.own[:count], radii=rows.radii[:count])


def kept_audit(assembly: Assembly) -> Mapping[str, Any] | None:
    """The audit of these certificates to be shown: a broken one if there is any, else the one of most inputs."""
    kept = [read_json(path) for path in sorted(audits_of(assembly).glob("*.json"))]

    def weight(audit: Mapping[str, Any]) -> tuple[bool, int]:
        systems = audit["systems"].values()
        return any(system["broken"] for system in systems), max(system["inputs"] for system in systems)

    return max(kept, key=weight, default=None)
