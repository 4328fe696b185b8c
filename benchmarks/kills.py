"""Kill `train` and `certify` with SIGKILL at random moments, go on, and compare with an uninterrupted run.

Each verb is started again and again until it was killed as often as asked. A start is killed at a random moment of its
uninterrupted length, inside an epoch or between two rows; every fourth one by its own hand just before a random rename,
that is between writing a file and renaming it into place. A start that is quicker than its killer is undone and does
not count. At last the verb is left to finish. Weights, histories, paths, proofs and the tables of the report must equal
those of a run that nobody disturbed.

    python benchmarks/kills.py --moments 20 --output docs/results/kills.json
"""

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from outcome import publish

from hiercls.whole.proofs import timeless

RECIPE = """
name: kills
data: {dataset: digits}
threat: {norm: l2, budgets: [0.1, 0.25]}
networks:
  flat:
    architecture: {mlp: {hidden: [64, 32]}}
    trainer: {gaussian: {sigma: 0.25, schedule: {epochs: 150, batch: 32}}}
    certifier: {smoothing: {draws: 20_000, stop: STOP}}
tree: {groups: {low: ["0", "1", "2", "3", "4"], high: ["5", "6", "7", "8", "9"]}}
nodes: {all: {restrict: flat}}
baseline: flat
certify: {inputs: 60}
"""

STOPS = {"fixed": "fixed", "grid": "{grid: {radii: [0, 0.1, 0.25]}}", "tolerance": "{tolerance: 0.05}"}

KILLED_AT_RENAME = """
import os, pathlib, signal, sys
left = [int(sys.argv[1])]
def before(rename):
    def renamed(*arguments, **options):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(*arguments, **options)
    return renamed
os.replace = before(os.replace)
pathlib.Path.replace = before(pathlib.Path.replace)
from hiercls.cli.main import main
sys.argv = ["hiercls", *sys.argv[2:]]
main()
"""


def command(verb: str) -> list[str]:
    return [sys.executable, "-c", "from hiercls.cli.main import main; main()", verb, "kills.yaml"]


def finish(verb: str, folder: Path) -> float:
    """Run a verb to its end; the seconds it took."""
    started = time.monotonic()
    subprocess.run(command(verb), cwd=folder, check=True, capture_output=True)
    return time.monotonic() - started


def disturb(verb: str, folder: Path, seconds: float, number: int, chance: random.Random) -> str | None:
    """Start a verb and kill it; when it was killed, None if it had ended before."""
    if number % 4 == 3:
        rename = str(chance.randint(1, 8))
        arguments = [sys.executable, "-c", KILLED_AT_RENAME, rename, verb, "kills.yaml"]
        code = subprocess.run(arguments, cwd=folder, capture_output=True).returncode
        return f"before rename {rename}" if code == -signal.SIGKILL else None
    process = subprocess.Popen(command(verb), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    moment = chance.uniform(0.3, 1.0) * seconds
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"after {moment:.2f} s"
    return None


def results(folder: Path) -> dict[str, str]:
    """A hash of every result: weights, histories and the sorted rows of each folder of rows, without their seconds."""
    run = folder / "runs" / "kills"
    found = {}
    for path in sorted(run.glob("networks/*/weights.safetensors")):
        found[str(path.relative_to(run))] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(run.glob("networks/*/history.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        found[str(path.relative_to(run))] = _hash([timeless(row) for row in rows])
    for kind in ("paths", "proofs"):
        for rows_of in sorted(run.glob(f"{kind}/*")):
            rows = [json.loads(line) for part in rows_of.glob("part-*.jsonl") for line in part.read_text().splitlines()]
            found[str(rows_of.relative_to(run))] = _hash(
                [timeless(row) for row in sorted(rows, key=lambda row: row["index"])]
            )
    for path in sorted((run / "tables").glob("*.csv")):
        found[f"tables/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--moments", type=int, default=20, help="kills of each verb")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--verbs", nargs="+", choices=["train", "certify"], default=["train", "certify"])
    options.add_argument("--stop", choices=["fixed", "grid", "tolerance"], default="fixed", help="when draws end")
    options.add_argument("--output", type=Path, help="a JSON file for the outcome")
    asked = options.parse_args()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        calm, disturbed = Path(first), Path(second)
        for folder in (calm, disturbed):
            (folder / "kills.yaml").write_text(RECIPE.replace("STOP", STOPS[asked.stop]))
        seconds = {verb: finish(verb, calm) for verb in ("train", "certify")}
        finish("report", calm)
        endings: dict[str, list[str]] = {}
        for verb in ("train", "certify"):
            endings[verb] = []
            while verb in asked.verbs and len(endings[verb]) < asked.moments:
                ending = disturb(verb, disturbed, seconds[verb], len(endings[verb]), chance)
                if ending is None:
                    _undo(verb, disturbed)
                else:
                    endings[verb].append(ending)
            finish(verb, disturbed)
        finish("report", disturbed)
        expected, found = results(calm), results(disturbed)
    different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    figures = {
        "seconds undisturbed": {verb: round(value, 1) for verb, value in seconds.items()},
        "killed": endings,
        "compared": sorted(expected),
        "different": different,
    }
    told = f"--moments {asked.moments} --seed {asked.seed} --stop {asked.stop} --verbs {' '.join(asked.verbs)}"
    publish(f"python benchmarks/kills.py {told}", figures, asked.output)
    sys.exit(1 if different else 0)


def _undo(verb: str, folder: Path) -> None:
    """Remove what a verb that was quicker than its killer has finished, so that the next one has work."""
    for kind in {"train": ("networks",), "certify": ("paths", "proofs")}[verb]:
        subprocess.run(["rm", "-rf", str(folder / "runs" / "kills" / kind)], check=True)


if __name__ == "__main__":
    main()
