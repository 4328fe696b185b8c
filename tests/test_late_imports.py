"""What is imported only where it is needed: components without torch, torchvision through its door."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from hiercls.words.errors import PluginError
from hiercls.words.torchvision_door import torchvision

COMPONENTS = """
import sys
from importlib import import_module
for name in ("datasets", "architectures", "standard", "pgd", "agglomerative", "verified_error"):
    for spec in import_module(f"hiercls_plugins.{name}.plugin").hiercls_components():
        module, _, member = spec.target.partition(":")
        assert spec.summary and getattr(import_module(module), member).__doc__, spec
import hiercls.contracts.schedules
assert "torch" not in sys.modules, "torch was imported"
"""


def test_every_component_is_where_its_spec_says_and_imports_no_torch():
    subprocess.run([sys.executable, "-c", COMPONENTS], check=True)


DOOR = """
from hiercls.words.torchvision_door import torchvision
found = torchvision()
assert torchvision() is found
import torch, torchvision.transforms.v2, torchvision.datasets
assert torchvision.transforms.v2.functional.resize(torch.rand(3, 8, 8), [4, 4]).shape == (3, 4, 4)
"""


@pytest.mark.skipif(find_spec("torchvision") is None, reason="torchvision is not installed")
def test_torchvision_comes_through_its_door():
    subprocess.run([sys.executable, "-c", DOOR], check=True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise RuntimeError('something else')", "torchvision does not import: something else"),
        ("import no_such_module_at_all", r"torchvision is needed .*; install hiercls with its extra \[vision\]"),
    ],
)
def test_another_failure_of_torchvision_is_told(tmp_path, monkeypatch, source, message):
    (tmp_path / "torchvision.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(PluginError, match=message):
        torchvision()
