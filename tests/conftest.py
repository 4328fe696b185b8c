"""Fixtures that several test files share."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hiercls.whole.runs import Run, open_run
from hiercls.wiring.registry import Registry

torch.set_num_threads(1)
signal.signal(
    signal.SIGINT, signal.default_int_handler
)  # a background job would hand its deafness on to what it starts


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry.load()


@pytest.fixture
def opened(tmp_path: Path, registry: Registry) -> Callable[[str], Run]:
    """Opens a run of a YAML text; the same name opens the same folder."""

    def open_text(text: str, root: str = "runs") -> Run:
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return open_run(path, registry, root=tmp_path / root)

    return open_text
