"""A second engine of bounds, found at run time: what is told where it is not there or does not import."""

import logging
import sys
import warnings
from pathlib import Path

import pytest
from lirpa_toys import network, prover, singles

from hiercls.values.heads import retrained
from hiercls.words.errors import PluginError
from hiercls.words.norms import LINF
from hiercls.words.packages import Package
from hiercls_plugins.auto_lirpa.certifier import AutoLirpa
from hiercls_plugins.auto_lirpa.package import AUTO_LIRPA


def test_a_missing_engine_is_told_with_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "auto_LiRPA", None)
    with pytest.raises(PluginError) as told:
        prover(network("dense"), [retrained(singles(0, 1, 2, 3, 4))])
    assert told.value.exit_code == 4
    assert str(told.value) == (
        "auto_LiRPA is not installed; install it with: pip install appdirs graphviz packaging tqdm && "
        "pip install --no-deps git+https://github.com/Verified-Intelligence/auto_LiRPA.git"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "import no_such_module_at_all",
            "strange does not import (No module named 'no_such_module_at_all'); install it",
        ),
        ("import torch; torch.no_such_name", "strange does not import (module 'torch' has no attribute"),
        ("raise RuntimeError('two versions')", "strange does not import (two versions); install it with: the line"),
    ],
)
def test_a_package_that_does_not_import_is_told(tmp_path: Path, monkeypatch, source, message):
    (tmp_path / "strange.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError) as told:
        Package("strange", "the line").load()
    assert message in str(told.value)
    assert "strange" not in sys.modules


def test_an_import_changes_no_setting_of_the_process(tmp_path: Path, monkeypatch):
    text = "import logging, warnings\nwarnings.simplefilter('once')\nwarnings.warn('old')\n"
    text += "logging.root.addHandler(logging.NullHandler())\nlogging.root.setLevel(1)\n"
    (tmp_path / "loud_package.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = list(warnings.filters), list(logging.root.handlers), logging.root.level
    with warnings.catch_warnings(record=True) as heard:
        Package("loud_package", "the line").load()
    assert (list(warnings.filters), list(logging.root.handlers), logging.root.level) == before
    assert not heard
    monkeypatch.delitem(sys.modules, "loud_package")


def test_its_spec_names_the_package_and_its_module_needs_no_engine(monkeypatch):
    from hiercls_plugins.auto_lirpa.plugin import hiercls_components

    monkeypatch.setitem(sys.modules, "auto_LiRPA", None)
    (spec,) = hiercls_components()
    assert (spec.kind, spec.name, spec.packages) == ("certifier", "auto-lirpa", (AUTO_LIRPA,))
    assert AutoLirpa().norm == LINF
