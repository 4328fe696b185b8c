"""What the benchmark of verifiable training says of what it measured, and of what it did not."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from hiercls.contracts.components import Dataset, Examples
from hiercls.words.threats import Domain
from hiercls_plugins.architectures.components import Cnn7, Mlp

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from verifiable_costs import Estimate, Kind, Timing, Work, estimate, rates  # noqa: E402
from verifiable_memory import Memory  # noqa: E402
from verifiable_page import goal, hours, lower_everywhere, spread, table, waiting  # noqa: E402
from verifiable_published import LARGE  # noqa: E402
from verifiable_runs import Few, _halves, shortened, size  # noqa: E402
from verifiable_settings import SETTINGS  # noqa: E402
from verifiable_training import Asked  # noqa: E402
from verifiable_truth import beats_all_outside  # noqa: E402

SMALL, LARGER = Kind("small", "CrownIbp"), Kind("larger", "CrownIbp")
ROW = {
    "name": "Mixed NDT",
    "against": "Mixed NDT",
    "published": (12.74, 9.74, 14.05),
    "asked seeds": 3,
    "figures": [],
    "tighter": [],
    "beside": [],
    "hours left": 3.21,
    "basis": 0,
    "why not": "",
}
SETTING = {
    "title": "Fashion",
    "trouble": "",
    "columns": ["error", "inter-group error", "verified inter-group error"],
    "beside": [],
    "flat rule": False,
    "same data": True,
    "source": "Fashion-MNIST",
    "largest network": 260_274,
    "most parameters": 275_714,
    "goal": "",
    "rows": [ROW],
}


def test_hours_scale_with_examples_multiplications_and_epochs():
    known = rates([Timing(SMALL, 1000.0, 10, 50.0), Timing(SMALL, 500.0, 4, 10.0)])
    assert known == {SMALL: 60 / 12_000}
    found = estimate([Work(SMALL, 3000.0, 30), Work(SMALL, 1000.0, 6)], known)
    assert found == Estimate(pytest.approx((90_000 + 6_000) * 60 / 12_000 / 3600), 0)


def test_a_kind_that_was_not_timed_is_taken_at_the_slowest_rate_of_its_trainer_and_is_marked():
    known = {SMALL: 1.0, Kind("other", "CrownIbp"): 2.0, Kind("small", "Standard"): 5.0}
    assert estimate([Work(LARGER, 3600.0, 1)], known) == Estimate(2.0, 1)
    assert estimate([Work(Kind("small", "Igrp"), 3600.0, 1)], known) == Estimate(5.0, 2)
    both = estimate([Work(SMALL, 3600.0, 1), Work(LARGER, 3600.0, 1)], known)
    assert both == Estimate(3.0, 1)
    assert hours({**ROW, "hours left": 3.21, "basis": 1}) == "~3.2"


def test_where_nothing_was_timed_no_hours_are_made_up():
    assert estimate([Work(SMALL, 1.0, 1)], {}) is None
    assert estimate([], {}) == Estimate(0.0, 0)
    assert hours({**ROW, "hours left": None}) == "unknown: nothing was timed yet"


def test_tables_without_a_row_are_folded_away_with_their_hours():
    told = waiting([SETTING, {**SETTING, "title": "Other", "rows": [{**ROW, "hours left": None}]}])
    assert "<summary>Fashion: about 3.2 hours</summary>" in told
    assert "<summary>Other: nothing was timed yet</summary>" in told
    assert "| Mixed NDT | 0 of 3 | not run | not run | not run | 3.2 |" in told
    assert waiting([]) == []


def test_a_row_that_was_not_run_shows_its_hours_and_no_figure():
    ours = next(line for line in table(SETTING) if line.startswith("| Mixed NDT"))
    assert ours == "| Mixed NDT | 0 of 3 | not run | not run | not run | 3.2 |"
    assert "| published, Mixed NDT | | 12.74 | 9.74 | 14.05 | |" in table(SETTING)


def test_a_mark_asks_for_all_columns_as_they_are_shown():
    published = (12.74, 9.74, 14.05)
    assert lower_everywhere([(12.0, 9.0, 14.0)], published)
    assert not lower_everywhere([(12.0, 9.74, 14.0)], published)
    assert not lower_everywhere([(12.736, 9.0, 14.0)], published), "it is shown as 12.74"
    assert lower_everywhere([(13.0, 9.0, 14.0), (12.0, 9.0, 14.0)], published), "the mean over seeds"
    assert not lower_everywhere([], published)
    assert not lower_everywhere([(1.0, 1.0, 1.0)], None)


def test_a_mark_stands_only_where_the_data_are_the_same():
    row = {**ROW, "figures": [(1.0, 1.0, 1.0)], "hours left": 0.0}
    marked, unmarked = (table({**SETTING, "rows": [row], "same data": same}) for same in (True, False))
    assert any(line.startswith("| Mixed NDT\\* |") for line in marked)
    assert any(line.startswith("| Mixed NDT |") for line in unmarked)
    assert not any("lower" in line for line in unmarked)


def test_a_flat_row_below_by_the_tighter_rule_alone_has_a_mark_of_its_own():
    row = {**ROW, "name": "IGRP", "figures": [(12.0, 9.0, 15.0)], "hours left": 0.0}
    flat = {**SETTING, "flat rule": True}
    lines = {each: table({**flat, "rows": [{**row, "tighter": [each]}]}) for each in (14.0, 14.05)}
    assert any(line.startswith("| IGRP† |") for line in lines[14.0])
    assert any(line.startswith("| IGRP |") for line in lines[14.05]), "14.05 is not strictly lower"
    both = table({**flat, "rows": [{**row, "figures": [(12.0, 9.0, 14.0)], "tighter": [13.0]}]})
    assert any(line.startswith("| IGRP\\* |") for line in both)
    worse = table({**flat, "rows": [{**row, "figures": [(12.0, 9.9, 15.0)], "tighter": [13.0]}]})
    assert any(line.startswith("| IGRP |") for line in worse), "another column is not lower"


def test_a_reading_that_the_source_leaves_open_stands_beside_its_columns():
    row = {**ROW, "figures": [(1.0, 2.0, 3.0)], "tighter": [5.0], "beside": [[4.0]], "hours left": 0.0}
    lines = table({**SETTING, "rows": [row], "beside": ["root included"], "flat rule": True, "same data": False})
    assert "| verified inter-group error | root included | verified inter-group error, tighter rule | hours" in lines[2]
    assert "| Mixed NDT | 1 of 3 | 1.00 | 2.00 | 3.00 | 4.00 | 5.00 |  |" in lines
    assert "| published, Mixed NDT | | 12.74 | 9.74 | 14.05 | | | |" in lines
    assert [list(setting.beside) for setting in SETTINGS if setting.name in ("fashion-0.1", "fashion-criteria")] == [
        [],
        ["verified intra-group error, root included"],
    ]


def test_a_spread_is_the_standard_deviation_over_seeds():
    assert spread([12.0]) == "12.00"
    assert spread([12.0, 14.0]) == f"13.00 ± {math.sqrt(2):.2f}"


def test_only_a_mixed_tree_reaches_the_goal():
    low = {**ROW, "figures": [(12.0, 9.0, 13.0)]}
    assert goal([low, {**low, "name": "Full NDT"}], (12.37, 9.37, 13.70)).endswith("13.7: Mixed NDT.")
    assert goal([ROW], (12.37, 9.37, 13.70)).endswith("no mixed NDT yet.")


def test_tables_are_trained_in_the_order_of_the_seeds_of_the_first_and_then_the_others():
    cells = [(setting.name, seed, row.name) for setting, seed, row in Asked(SETTINGS, None, None).cells()]
    first = [(seed, row) for name, seed, row in cells if name == "fashion-0.1"]
    rows = ["CROWN-IBP", "IGRP", "IGRP-UBS", "Full NDT", "Full NDT-FT", "Mixed NDT", "Mixed NDT-FT"]
    assert first == [(seed, row) for seed in (0, 1, 2) for row in rows]
    tables = list(dict.fromkeys(name for name, _, _ in cells))
    assert tables[:4] == ["fashion-0.1", "fashion-0.3", "gtsrb", "fashion-criteria"]
    assert tables[4:6] == ["cifar10-jpeg-8", "cifar10-jpeg-2"]


def test_every_published_row_has_a_figure_for_every_column():
    for setting in SETTINGS:
        assert all(len(row.published or ()) == len(setting.columns) for row in setting.rows), setting.name
    assert {setting.name for setting in SETTINGS} >= {f"{name}-dm-large" for name in LARGE}


def test_other_data_are_never_called_beaten():
    assert {setting.name for setting in SETTINGS if setting.same_data} == {
        "fashion-0.1",
        "fashion-0.3",
        "fashion-criteria",
        "fashion-modern",
        "fashion-0.1-dm-large",
        "fashion-0.3-dm-large",
    }


def test_a_shortened_training_keeps_the_shape_of_its_ramp_and_decay():
    trainer = {"eps": 0.1, "ramp": [1, 21], "schedule": {"epochs": 30, "decay": {"at": [24, 28], "by": 0.2}}}
    plain = {"schedule": {"epochs": 20, "decay": "cosine", "average": 15.0}}
    found = shortened({"nodes": {"all": {"trainer": {"crown-ibp": trainer}}, "last": [plain]}}, 3)
    robust, natural = found["nodes"]["all"]["trainer"]["crown-ibp"], found["nodes"]["last"][0]
    assert robust["schedule"] == {"epochs": 3, "decay": {"at": pytest.approx([2.4, 2.8]), "by": 0.2}}
    assert robust["ramp"] == pytest.approx([0.1, 2.1])
    assert robust["eps"] == 0.1
    assert natural["schedule"] == {"epochs": 3, "decay": "cosine", "average": 2}


def test_the_size_of_a_network_is_counted_layer_by_layer():
    assert size(Mlp(hidden=(7,)), (1, 2, 3), 4) == (6 * 7 + 7 + 7 * 4 + 4, 6 * 7 + 7 * 4)
    _, multiplications = size(Cnn7(batch_norm=False), (1, 8, 8), 10)
    maps = 64 * (9 + 64 * 9 + 2 * 64 * 9 // 4 + 2 * 2 * (128 * 9 // 4)) * 64
    assert multiplications == maps + 128 * 16 * 512 + 512 * 10


class Uneven(Dataset):
    def labels(self, root):
        return ("a", "b")

    def views(self):
        return {"image": (1,)}

    def load(self, split, root):
        truth = torch.tensor([0] * 30 + [1] * 3)
        return Examples({"image": torch.arange(33.0)[:, None]}, truth)


def test_a_small_data_set_holds_as_many_of_every_label_as_there_are():
    found = Few(of=Uneven(), training=10, test=4).load("train", None)
    assert found.truth.tolist() == [0] * 5 + [1] * 3
    assert found.views["image"][:, 0].tolist() == [0, 1, 2, 3, 4, 30, 31, 32]


def test_a_tree_in_the_place_of_an_unknown_one_halves_its_labels():
    assert _halves("abcde") == [["a", "b"], ["c", ["d", "e"]]]


def test_by_the_papers_rule_the_truth_itself_beats_every_label_outside():
    """A linear network: margins over a box are exact, and two labels outside are each beaten by another leader."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 4)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        network[1].weight.copy_(torch.randn(4, 3, generator=generator))
    x, truth = torch.rand(300, 3, generator=generator), torch.randint(0, 4, (300,), generator=generator)
    groups, eps = (frozenset({0, 1}), frozenset({2, 3})), 0.05
    found = beats_all_outside(network, x, truth, groups, eps, Domain("all"))
    weight, bias = network[1].weight.detach().double(), network[1].bias.detach().double()
    rows = weight[truth][:, None] - weight
    margins = (rows * x.double()[:, None]).sum(2) + bias[truth][:, None] - bias - eps * rows.abs().sum(2)
    outside = torch.tensor([[2, 3], [2, 3], [0, 1], [0, 1]])[truth]
    worst = margins.gather(1, outside).amin(dim=1)
    clear = worst.abs() > 1e-5
    assert torch.equal(found[clear], (worst > 0)[clear])
    assert 30 < int(found.sum()) < 270


def test_a_large_row_is_the_small_one_with_another_architecture():
    by_name = {setting.name: setting for setting in SETTINGS}
    for name in LARGE:
        small, large = by_name[name], by_name[f"{name}-dm-large"]
        assert [replace(row, published=None) for row in large.rows] == [
            replace(row, published=None) for row in small.rows
        ]
        assert large.by_request
        assert not small.by_request


class _Recipe:
    def __init__(self, seed: int, text: str):
        self.seed, self.text = seed, text

    def resolved(self) -> str:
        return self.text


class _Run:
    def __init__(self, seed: int, text: str):
        self.recipe = _Recipe(seed, text)


def test_a_measured_cell_is_told_again_until_its_row_seed_or_recipe_changes(tmp_path):
    memory, facts = Memory(), {"figures": [12.79, 9.54, 14.3], "tighter": None}
    memory.keep(_Run(0, "eps: 0.1"), "Mixed NDT", facts)
    memory.timed("root", Timing(SMALL, 1000.0, 30, 50.0))
    place = tmp_path / "outcome.json"
    place.write_text(json.dumps({"memory": memory.shown()}))

    again = Memory.read(place)
    assert again.cell(_Run(0, "eps: 0.1"), "Mixed NDT") == {"row": "Mixed NDT", "seed": 0, **facts}
    assert again.cell(_Run(1, "eps: 0.1"), "Mixed NDT") is None
    assert again.cell(_Run(0, "eps: 0.1"), "Full NDT") is None
    assert again.cell(_Run(0, "eps: 0.2"), "Mixed NDT") is None
    assert again.known() == {"root": Timing(SMALL, 1000.0, 30, 50.0)}
    assert Memory.read(tmp_path / "nothing.json") == Memory()


def test_figures_of_an_earlier_invocation_are_called_so():
    lines = table({**SETTING, "rows": [{**ROW, "figures": [(12.0, 9.0, 14.0)], "of an earlier day": [0, 2]}]})
    assert "whose networks were not here any more: Mixed NDT (seeds 0, 2)." in lines[-1]
    assert "earlier" not in "\n".join(table({**SETTING, "rows": [{**ROW, "of an earlier day": []}]}))
