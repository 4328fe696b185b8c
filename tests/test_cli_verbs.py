"""What a user meets: one clear message, the right exit code, no traceback, no half-written run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hiercls.cli.main import main
from hiercls_plugins.datasets.digits import Digits

SMALL = """
name: small
data: {dataset: digits}
threat: {norm: linf, budgets: [0.02]}
tree: {groups: {low: ["0", "1", "2", "3", "4"], high: ["5", "6", "7", "8", "9"]}}
nodes:
  all: {architecture: linear, trainer: {standard: {schedule: {epochs: 2}}}}
  root: {certifier: exact-linear}
certify: {inputs: 20}
audit: {inputs: 10, attack: {pgd: {steps: 10, restarts: 1}}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


def test_each_verb_does_its_part_and_says_so(here, capsys):
    assert call(capsys, "train", "small.yaml")[0] == 0
    code, out, _ = call(capsys, "train", "runs/small", "--json")
    assert (code, json.loads(out)["trained"]) == (0, {"node root": False, "node low": False, "node high": False})
    code, out, _ = call(capsys, "evaluate", "small.yaml")
    assert code == 0
    assert "of 355 inputs right" in out
    of_nodes = [line for line in out.splitlines() if line.startswith("  ")]
    assert [line.partition(":")[0].strip() for line in of_nodes] == ["root", "low", "high"]
    assert [line.endswith("given its branch") for line in of_nodes] == [False, True, True]
    assert call(capsys, "certify", "small.yaml")[:2] == (0, "20 of 20 inputs are certified\n")
    code, out, _ = call(capsys, "audit", "small.yaml")
    assert code == 0
    assert "0 certificates broken" in out
    code, out, _ = call(capsys, "predict", "small.yaml", "--index", "3", "--json")
    assert code == 0
    assert json.loads(out)[0]["tree"]["path"][0] == "root"
    code, out, _ = call(capsys, "report", "small.yaml")
    assert code == 0
    assert Path("runs/small/report.html").exists()
    code, out, _ = call(capsys, "status", "runs/small", "--json")
    rows = {(row["kind"], row["name"]): row for row in json.loads(out)["steps"]}
    assert rows["certified", "inputs"]["done"] == rows["certified", "inputs"]["of"] == 20


def test_run_does_all_of_it_and_a_broken_certificate_is_exit_6(here, capsys):
    assert call(capsys, "run", "small.yaml")[0] == 0
    for part in Path("runs/small/proofs").glob("*/part-*.jsonl"):
        rows = [json.loads(line) for line in part.read_text().splitlines()]
        for row in rows:
            for each in row["rows"]:
                each["own"] = 0.9
                each["radii"] = [0.0 if k == each["chosen"] else 0.9 for k in range(2)]
        part.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for kept in Path("runs/small/audit").glob("*/*.json"):
        kept.unlink()
    code, out, error = call(capsys, "run", "small.yaml")
    assert code == 6
    assert "certificates of tree are broken" in error
    assert "broken" in Path("runs/small/report.html").read_text()


def test_certify_before_train_names_the_command(here, capsys):
    code, _, error = call(capsys, "certify", "small.yaml")
    assert code == 2
    assert "is not trained yet; run `hiercls train` first" in error


def test_report_before_certify_names_the_command(here, capsys):
    call(capsys, "train", "small.yaml")
    code, _, error = call(capsys, "report", "small.yaml")
    assert code == 2
    assert "nothing is certified yet; run `hiercls certify` first" in error


def test_a_mistake_in_the_yaml_leaves_no_run_behind(here, capsys):
    (here / "wrong.yaml").write_text(SMALL.replace("epochs: 2", "epoch: 2"))
    for verb in ("check", "train", "run"):
        code, _, error = call(capsys, verb, "wrong.yaml")
        assert code == 2
        assert "did you mean 'epochs'?" in error
        assert "wrong.yaml:7:" in error
    assert not Path("runs").exists()


def test_a_missing_or_foreign_path_is_an_error_of_files(here, capsys):
    assert call(capsys, "train", "nothing.yaml")[0] == 3
    (here / "folder").mkdir()
    code, _, error = call(capsys, "report", "folder")
    assert code == 3
    assert "is not a run" in error


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_an_error_of_files(here, capsys):
    here.chmod(0o555)
    code, _, error = call(capsys, "train", "small.yaml")
    assert code == 3
    assert "cannot be written" in error


def test_a_run_folder_that_cannot_be_made_is_an_error_of_files(here, capsys):
    Path("runs").write_text("a file in the way")
    code, _, error = call(capsys, "train", "small.yaml")
    assert code == 3
    assert "cannot be written" in error


def test_a_missing_dataset_says_where_it_was_looked_for(here, capsys, monkeypatch):
    monkeypatch.setenv("HIERCLS_DATA", str(here / "data"))
    (here / "fashion.yaml").write_text(
        "data: {dataset: fashion-mnist}\nthreat: {norm: linf, budgets: [0.1]}\n"
        "nodes: {all: {architecture: linear, trainer: standard}}\n"
    )
    code, _, error = call(capsys, "train", "fashion.yaml")
    assert code == 3
    assert "HIERCLS_DATA" in error
    assert str(here / "data") in error


def test_a_broken_plugin_that_the_yaml_needs_is_named(here, capsys):
    (here / "broken.py").write_text("raise ImportError('no such library')\n")
    (here / "needs.yaml").write_text(SMALL.replace("trainer: {standard:", "trainer: {mine:") + "plugins: [broken.py]\n")
    code, _, error = call(capsys, "check", "needs.yaml")
    assert code == 4
    assert "broken.py" in error
    assert "no such library" in error


def test_inputs_outside_the_domain_are_refused(here, capsys):
    call(capsys, "train", "small.yaml")
    np.save("bright.npy", np.full((2, 1, 8, 8), 1.5, dtype=np.float32))
    code, _, error = call(capsys, "predict", "small.yaml", "--file", "bright.npy")
    assert code == 3
    assert "outside the declared domain [0, 1]" in error
    np.save("fine.npy", np.full((2, 1, 8, 8), 0.5, dtype=np.float32))
    assert call(capsys, "predict", "small.yaml", "--file", "fine.npy")[0] == 0
    np.save("flat.npy", np.zeros((2, 64), dtype=np.float32))
    code, _, error = call(capsys, "predict", "small.yaml", "--file", "flat.npy")
    assert code == 3
    assert "of shape (N, 1, 8, 8)" in error


def test_weights_that_are_not_those_trained_are_refused(here, capsys):
    call(capsys, "train", "small.yaml")
    weights = next(Path("runs/small/networks").glob("*/weights.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    code, _, error = call(capsys, "certify", "small.yaml")
    assert code == 3
    assert "SHA-256 differs" in error


def test_a_device_that_is_not_here_is_an_error_of_devices(here, capsys):
    code, _, error = call(capsys, "certify", "small.yaml", "--device", "tpu9")
    assert code == 2
    assert "write cpu, cuda or cuda:k" in error
    import torch

    if not torch.cuda.is_available():
        code, _, error = call(capsys, "certify", "small.yaml", "--device", "cuda:7")
        assert code == 5
        assert "is not here" in error


def test_predict_asks_for_inputs_and_refuses_places_that_do_not_exist(here, capsys):
    call(capsys, "train", "small.yaml")
    assert call(capsys, "predict", "small.yaml")[0] == 2
    code, _, error = call(capsys, "predict", "small.yaml", "--index", "355")
    assert code == 3
    assert "it has 355" in error


def test_an_interrupt_ends_with_130_and_the_command_that_goes_on(here):
    """A Ctrl-C during certification finishes what is in flight; the same command then does the rest."""
    text = SMALL.replace("certifier: exact-linear", "certifier: {smoothing: {sigma: 0.2, draws: 300_000}}")
    Path("small.yaml").write_text(text.replace("norm: linf", "norm: l2"))
    command = [sys.executable, "-c", "from hiercls.cli.main import main; main()"]
    subprocess.run([*command, "train", "small.yaml"], check=True, capture_output=True)
    process = subprocess.Popen([*command, "certify", "small.yaml"], stderr=subprocess.PIPE, text=True)
    proofs = Path("runs/small/proofs")
    while process.poll() is None and not any(part.stat().st_size for part in proofs.glob("*/part-*.jsonl")):
        pass
    process.send_signal(2)
    _, error = process.communicate()
    assert process.returncode == 130
    assert "hiercls certify small.yaml" in error
    done = sum(len(part.read_text().splitlines()) for part in proofs.glob("*/part-*.jsonl"))
    assert 0 < done < 20
    ended = subprocess.run([*command, "certify", "small.yaml"], check=True, capture_output=True, text=True)
    assert "20 of 20 inputs are certified" in ended.stdout


GROWN = """
name: grown
data: {dataset: digits, held_out: 200}
threat: {norm: linf, budgets: [0.05]}
networks: {flat: {architecture: linear, trainer: {standard: {schedule: {epochs: 1}}}}}
tree: {build: {certified-gain: {of: flat, restarts: 0}}}
nodes: {all: {restrict: flat, certifier: ibp}}
"""


def test_why_a_derived_tree_is_this_one_is_told_when_it_is_grown_and_below_it(here, capsys):
    Path("grown.yaml").write_text(GROWN)
    code, _, error = call(capsys, "train", "grown.yaml")
    assert code == 0
    why = "expected certified information gain on 200 held-out examples, at 0.05: "
    (told,) = [line for line in error.splitlines() if line.startswith(f"tree: {why}")]
    assert why not in call(capsys, "train", "grown.yaml")[2], "it was grown already"
    code, out, _ = call(capsys, "tree", "grown.yaml")
    assert code == 0
    assert out.startswith("root\n├─ ")
    assert out.endswith(f"\n\n{told.removeprefix('tree: ')}\n")
    assert why not in call(capsys, "tree", "grown.yaml", "--freeze")[1]
    assert json.loads(call(capsys, "tree", "grown.yaml", "--format", "json")[1])


def test_plugins_explain_says_what_a_component_does_and_its_options(here, capsys):
    code, out, _ = call(capsys, "plugins", "--explain", "ibp")
    assert code == 0
    assert "trainer ibp" in out
    assert "certifier ibp" in out
    assert "eps: required" in out
    assert "  kappa: default 0.5\n    the clean weight at the end of the ramp; it starts at 1.\n" in out
    assert "      epochs: passes over the training examples.\n" in out
    assert "  smallest: default 0.0001\n    radii below it are reported as 0, in units of the view.\n" in out
    assert "Attributes:" not in out
    code, out, _ = call(capsys, "plugins", "--explain", "ibp", "--json")
    assert json.loads(out)["trainer"]["properties"]["kappa"]["default"] == 0.5
    code, _, error = call(capsys, "plugins", "--explain", "ibpp")
    assert code == 2
    assert "no component is called 'ibpp'" in error


def test_a_refused_command_leaves_no_run_behind(here, capsys):
    for verb in ("certify", "evaluate", "audit", "report"):
        assert call(capsys, verb, "small.yaml")[0] == 2
    assert call(capsys, "train", "small.yaml", "--only", "nobody")[0] == 2
    assert not Path("runs").exists()


def test_more_inputs_than_there_are_is_an_error(here, capsys):
    call(capsys, "train", "small.yaml")
    code, _, error = call(capsys, "certify", "small.yaml", "--inputs", "356")
    assert code == 2
    assert "356 asked, the test split has 355" in error


def test_predict_takes_places_or_a_file_and_names_abstention(here, capsys):
    call(capsys, "train", "small.yaml")
    truth = Digits().load("test", Path()).truth
    assert call(capsys, "predict", "small.yaml", "--index", "4")[1].startswith(f"4 (truly {int(truth[4])})  tree: ")
    np.save("one.npy", np.full((1, 1, 8, 8), 0.5, dtype=np.float32))
    assert call(capsys, "predict", "small.yaml", "--file", "one.npy")[1].startswith("0  tree: ")
    assert call(capsys, "predict", "small.yaml", "--file", "one.npy", "--index", "2")[0] == 2
    Path("text.npy").write_text("no array")
    code, _, error = call(capsys, "predict", "small.yaml", "--file", "text.npy")
    assert code == 3
    assert error == "text.npy: is no .npy array of numbers\n"
    Path("empty.npy").touch()
    Path("zip.npy").write_bytes(b"PK\x03\x04 no archive")
    np.savez("several.npz", np.zeros((1, 1, 8, 8)))
    for name in ("empty.npy", "zip.npy", "several.npz"):
        code, _, error = call(capsys, "predict", "small.yaml", "--file", name)
        assert (code, error) == (3, f"{name}: is no .npy array of numbers\n")
    noisy = SMALL.replace("certifier: exact-linear", "certifier: {smoothing: {sigma: 50.0, predict: 50}}")
    Path("noisy.yaml").write_text(noisy.replace("norm: linf", "norm: l2").replace("name: small", "name: noisy"))
    call(capsys, "train", "noisy.yaml")
    code, out, _ = call(capsys, "predict", "noisy.yaml", "--index", "1", "--index", "2", "--index", "3")
    assert code == 0
    assert "abstains at root, one of 0, 1, 2" in out


def test_a_termination_is_an_interrupt(here):
    """SIGTERM ends as Ctrl-C does: with 130 and the command that goes on."""
    Path("small.yaml").write_text(SMALL.replace("epochs: 2", "epochs: 5000"))
    command = [sys.executable, "-c", "from hiercls.cli.main import main; main()", "train", "small.yaml"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(Path("runs/small/networks").glob("*/checkpoint*")):
        pass
    process.terminate()
    _, error = process.communicate()
    assert process.returncode == 130
    assert "hiercls train small.yaml" in error
