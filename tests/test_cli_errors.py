"""What the command line says of a mistake: one clear message, its exit code, no traceback."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_toys import GOOD, Call, beside_a_good_recipe

from hiercls.cli.commands.certify import ShardType
from hiercls.cli.main import main
from hiercls.words.errors import (
    CertificateBroken,
    ConfigurationError,
    DataError,
    DeviceError,
    HierclsError,
    PluginError,
)

call = beside_a_good_recipe


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let `hiercls check` raise an error."""

    def fail(path: Path, allow_plugins: bool) -> None:
        raise error

    monkeypatch.setattr("hiercls.cli.commands.check.opened_recipe", fail)


def test_an_unknown_command_is_told_with_the_nearest_one(call: Call) -> None:
    code, out, err = call("chek")
    assert (code, out) == (2, "")
    assert err.endswith("Error: unknown command 'chek'; did you mean 'check'?\n")


def test_a_mistake_in_a_yaml_is_its_own_line_and_exit_2(call: Call, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(GOOD.replace("sigma: 0.25", "sigam: 0.25") + "sede: 3\n")
    code, out, err = call("check", "bad.yaml")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "bad.yaml:5:56 networks.flat.trainer.noisy: sigma is missing: noise standard deviation",
        "bad.yaml:5:57 networks.flat.trainer.noisy.sigam: unknown option; did you mean 'sigma'?",
        "bad.yaml:12:1 sede: unknown option; did you mean 'seed'?",
    ]


def test_a_missing_file_is_exit_3(call: Call) -> None:
    assert call("check", "nowhere.yaml") == (3, "", "nowhere.yaml: cannot be read: No such file or directory\n")


def test_a_plugin_outside_the_folder_is_exit_2_and_can_be_allowed(call: Call, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.yaml").write_text(GOOD.replace("[zoo.py]", "[../zoo.py]"))
    code, _, err = call("check", "sub/x.yaml")
    assert code == 2
    assert "sub/x.yaml:2:11 plugins.0: sub/../zoo.py lies outside the folder of its YAML" in err
    assert call("check", "sub/x.yaml", "--allow-plugins")[0] == 0


def test_a_broken_plugin_that_a_yaml_needs_is_exit_4(call: Call, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there")
    (tmp_path / "x.yaml").write_text(GOOD.replace("[zoo.py]", "[zoo.py, broken.py]"))
    code, _, err = call("check", "x.yaml")
    assert code == 4
    assert "x.yaml:2:19 plugins.1: plugin broken.py is broken: ModuleNotFoundError: No module named" in err


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (ConfigurationError("one"), 2, "one\n"),
        (DataError("two"), 3, "two\n"),
        (PluginError("three"), 4, "three\n"),
        (DeviceError("four"), 5, "four\n"),
        (CertificateBroken("five"), 6, "five\n"),
        (HierclsError("six"), 2, "six\n"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 3, "runs/x: No space left on device\n"),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), 3, "runs: Permission denied\n"),
        (MemoryError(), 5, "out of memory (host); use a smaller --batch\n"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 5, "out of memory (DefaultCPUAllocator: can't"),
        (KeyboardInterrupt(), 130, "\nstopped; the same command goes on from here: hiercls check 'a run'\n"),
    ],
)
def test_every_kind_of_error_has_its_exit_code_and_no_traceback(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, told: str
) -> None:
    import torch  # noqa: F401 a process that ran out of torch's memory has imported it

    failing(monkeypatch, error)
    found = call("check", "a run")
    assert found[0] == code
    assert found[2].startswith(told)
    assert "Traceback" not in found[2]


def test_out_of_memory_on_a_device_is_exit_5(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    failing(monkeypatch, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    code, _, err = call("check", "good.yaml")
    assert (code, err) == (5, "out of memory (CUDA out of memory. Tried to allocate 2 GiB); use a smaller --batch\n")


def test_a_fault_of_the_program_keeps_its_traceback(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, RuntimeError("not a user's mistake"))
    with pytest.raises(RuntimeError, match="not a user's mistake"):
        main(["check", "good.yaml"])


def test_the_traceback_is_shown_when_asked_for(call: Call) -> None:
    code, _, err = call("check", "nowhere.yaml", "--traceback")
    assert code == 3
    assert err.startswith("Traceback")
    assert err.endswith("nowhere.yaml: cannot be read: No such file or directory\n")


def test_an_interrupt_from_outside_prints_the_command_that_goes_on(tmp_path: Path) -> None:
    code = """
import os, signal, sys
import hiercls.cli.commands.check as check
check.opened_recipe = lambda *_: os.kill(os.getpid(), signal.SIGINT)
from hiercls.cli.main import main
main(["check", "x y.yaml"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr.endswith("stopped; the same command goes on from here: hiercls check 'x y.yaml'\n")
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


@pytest.mark.parametrize("text", ["5/4", "0/4", "1", "a/b", "1/0"])
def test_a_wrong_shard_is_told(call: Call, text: str) -> None:
    code, _, err = call("certify", "good.yaml", "--shard", text)
    assert code == 2
    assert f"found {text!r}; write k/n with 1 <= k <= n, such as 1/4" in err
    assert ShardType().convert("2/4", None, None) == (1, 4)
