"""How long `hiercls --help` takes, beside an empty Python.

python benchmarks/startup.py --output docs/results/startup.json
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from hiercls.whole.runs import environment

PROGRAMS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "hiercls --help": [str(Path(sys.executable).with_name("hiercls")), "--help"],
    "hiercls plugins": [str(Path(sys.executable).with_name("hiercls")), "plugins"],
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--times", type=int, default=11)
    options.add_argument("--output", type=Path)
    asked = options.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(asked.times):
        for name, command in PROGRAMS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - started)
    outcome = {
        "command": f"python benchmarks/startup.py --times {asked.times}",
        "environment": environment(),
        "median seconds": {name: round(statistics.median(values), 3) for name, values in seconds.items()},
    }
    text = json.dumps(outcome, indent=2) + "\n"
    if asked.output:
        asked.output.parent.mkdir(parents=True, exist_ok=True)
        asked.output.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
