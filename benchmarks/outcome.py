"""What every benchmark prints and keeps: its figures, with the command and the machine they were made by."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hiercls.whole.runs import environment


def publish(command: str, figures: Mapping[str, Any], output: Path | None) -> None:
    """Print the outcome as JSON, and write it where `output` says."""
    text = json.dumps({"command": command, "environment": environment(), **figures}, indent=2) + "\n"
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text)
    print(text, end="")
