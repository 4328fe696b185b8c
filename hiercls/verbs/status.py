"""What of a run exists, and what is left to do."""

from hiercls.verbs.assembly import Assembly, assembled, finished_inputs
from hiercls.verbs.audit import audits_of
from hiercls.whole.proofs import read_paths, read_proofs
from hiercls.whole.runs import Run


def status(run: Run) -> list[dict[str, object]]:
    """One row a step: its kind, its name, how much is done, of how much."""
    networks = run.networks(run.known_tree())
    rows: list[dict[str, object]] = []
    for step in run.plan().steps:
        if step.kind == "network":
            rows.append(_row("network", step.name, int(networks.trained(step.name)), 1))
        elif step.kind == "tree":
            rows.append(_row("tree", "derived", int(run.known_tree() is not None), 1))
    if run.known_tree() is not None and all(networks.trained(name) for name in networks.jobs):
        rows += _stored(assembled(run))
    return rows


def _stored(assembly: Assembly) -> list[dict[str, object]]:
    selected = set(assembly.selected.tolist())
    rows = []
    for classifier in assembly.classifiers:
        paths = read_paths(assembly.paths_folder(classifier))
        rows.append(_row("paths", classifier.system.name, len(selected & paths.keys()), len(selected)))
    for deployed in assembly.proved_by:
        proofs = read_proofs(assembly.proofs_folder(deployed), deployed.heads)
        rows.append(_row("proofs", deployed.job, len(selected & proofs.keys()), None))
    rows.append(_row("certified", "inputs", len(finished_inputs(assembly)), len(selected)))
    audits = len(list(audits_of(assembly).glob("*.json")))
    rows.append(_row("audit", "results", audits, None))
    rows.append(_row("report", "report.html", int((assembly.run.folder / "report.html").exists()), 1))
    return rows


def _row(kind: str, name: str, done: int, of: int | None) -> dict[str, object]:
    return {"kind": kind, "name": name, "done": done, "of": of}
