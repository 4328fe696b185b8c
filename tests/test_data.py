from pathlib import Path

import pytest
import torch

from hiercls.contracts.components import Dataset, Examples
from hiercls.values.groups import tree_from_groups
from hiercls.whole.data import Data, fingerprint
from hiercls.wiring.specs import Each
from hiercls.words.errors import ConfigurationError, OutsideDomain
from hiercls.words.threats import Domain, Threat

LABELS = ("a", "b", "c", "d")


class Toy(Dataset):
    """Forty examples of four labels, in tracks of five; `scale` stretches the view."""

    scale: float = 1.0
    tracked: bool = True

    def labels(self, root: Path | None) -> tuple[str, ...]:
        return LABELS

    def views(self) -> dict[str, tuple[int, ...]]:
        return {"image": (2,)}

    def load(self, split: str, root: Path | None) -> Examples:
        x = torch.linspace(0, 1, 80).reshape(40, 2) * self.scale
        truth = torch.arange(40) % 4
        tracks = torch.arange(40) // 5 if self.tracked else None
        return Examples({"image": x}, truth, tracks=tracks)


def data(**changes) -> Data:
    facts = {"dataset": Toy(), "root": None, "threat": Threat(), "seed": 3}
    return Data(**{**facts, **changes})


SINGLES = tuple(frozenset((k,)) for k in range(4))


def test_the_order_is_a_permutation_named_by_the_seed():
    assert sorted(data().order.tolist()) == list(range(40))
    assert torch.equal(data().order, data().order)
    assert not torch.equal(data().order, data(seed=4).order)


def test_fewer_inputs_are_the_first_of_more():
    tree = tree_from_groups(LABELS, [["a", "b"], ["c", "d"]])
    assert data().selected(7, tree).tolist() == data().selected(9, tree).tolist()[:7]
    assert len(data().selected("all", tree)) == 40


def test_each_takes_the_first_of_every_label_set():
    tree = tree_from_groups(LABELS, {"x": ["a"], "rest": ["b", "c", "d"]})
    chosen = data().selected(Each(each=3, level=1), tree)
    truth = data().test.truth[chosen]
    assert int((truth == 0).sum()) == 3
    assert int((truth != 0).sum()) == 3
    place = {index: k for k, index in enumerate(data().order.tolist())}
    assert [place[k] for k in chosen.tolist()] == sorted(place[k] for k in chosen.tolist())


def test_a_task_holds_the_examples_of_its_labels_and_their_parts():
    parts = (frozenset((1, 3)), frozenset((2,)))
    task = data().task(parts, "image", None)
    truth = data().train.truth
    kept = truth[(truth != 0)]
    assert task.y.tolist() == [0 if int(label) in parts[0] else 1 for label in kept]
    assert len(task.held_out_y) == 0


def test_held_out_examples_are_whole_tracks_and_not_trained_on():
    task = data(held_out=0.25).task(SINGLES, "image", None)
    assert len(task.held_out_y) == 10
    kept = {float(x[0]) for x in task.x}
    held = {float(x[0]) for x in task.held_out_x}
    assert not kept & held
    tracks = {int(round(value * 79 / 2)) // 5 for value in held}
    assert len(tracks) == 2


def test_holding_out_everything_is_refused():
    with pytest.raises(ConfigurationError, match="leaves none to train on"):
        data(held_out=40).task(SINGLES, "image", None)


def test_inputs_outside_the_domain_are_refused():
    with pytest.raises(OutsideDomain, match=r"\[0, 2\], outside the declared domain \[0, 1\]"):
        data(dataset=Toy(scale=2.0)).test  # noqa: B018
    wide = Threat(domain=Domain("box", 0.0, 2.0))
    assert len(data(dataset=Toy(scale=2.0), threat=wide).test.truth) == 40


def test_a_fingerprint_sees_every_part_of_a_split():
    split = Toy().load("test", None)
    other_x = Examples({"image": split.views["image"] + 1e-6}, split.truth, tracks=split.tracks)
    other_y = Examples(split.views, split.truth.flip(0), tracks=split.tracks)
    no_tracks = Examples(split.views, split.truth)
    renamed = Examples({"lidar": split.views["image"]}, split.truth, tracks=split.tracks)
    found = {fingerprint(each) for each in (split, other_x, other_y, no_tracks, renamed)}
    assert len(found) == 5
    assert fingerprint(split) == fingerprint(Toy().load("train", None))
