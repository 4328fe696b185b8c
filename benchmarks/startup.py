"""How long `hiercls --help` takes, beside an empty Python.

python benchmarks/startup.py --output docs/results/startup.json
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from outcome import publish

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
    medians = {name: round(statistics.median(values), 3) for name, values in seconds.items()}
    publish(f"python benchmarks/startup.py --times {asked.times}", {"median seconds": medians}, asked.output)


if __name__ == "__main__":
    main()
