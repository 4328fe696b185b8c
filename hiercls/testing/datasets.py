"""What every dataset keeps."""

import tempfile
from abc import abstractmethod
from pathlib import Path

import torch

from hiercls.contracts.components import Dataset, Examples
from hiercls.testing.components import ComponentConformance
from hiercls.values.views import require_domain
from hiercls.words.errors import DataError
from hiercls.words.threats import Domain


class DatasetConformance(ComponentConformance):
    """The facts that hold for a dataset.

    Attributes:
        domain: where the entries of all views lie.
        needs_root: whether it must be laid out first; then an empty folder is an error that tells how.
    """

    domain: Domain = Domain()
    needs_root: bool = False

    @abstractmethod
    def make(self) -> Dataset: ...

    def root(self) -> Path | None:
        """The folder that holds the data, or a small imitation of it; None for data that comes along."""
        return None

    def test_labels_are_distinct_names(self) -> None:
        labels = self.make().labels(self.root())
        assert isinstance(labels, tuple)
        assert all(isinstance(label, str) and label for label in labels)
        assert len(set(labels)) == len(labels) >= 2

    def test_every_view_has_the_shape_that_it_announces(self) -> None:
        for split in ("train", "test"):
            examples = self._load(split)
            assert {name: tuple(view.shape[1:]) for name, view in examples.views.items()} == {
                name: tuple(shape) for name, shape in self.make().views().items()
            }
            for name, view in examples.views.items():
                assert view.dtype == torch.float32
                assert len(view) == len(examples.truth) > 0
                require_domain(view, self.domain, name)

    def test_truths_are_indices_of_labels(self) -> None:
        count = len(self.make().labels(self.root()))
        for split in ("train", "test"):
            truth = self._load(split).truth
            assert truth.dtype == torch.int64
            assert 0 <= int(truth.min()) <= int(truth.max()) < count
        assert set(self._load("train").truth.tolist()) == set(range(count)), "a label has no training example"

    def test_masks_always_allow_the_truth(self) -> None:
        for split in ("train", "test"):
            examples = self._load(split)
            assert set(examples.allowed) == set(self.make().masks())
            for name, allowed in examples.allowed.items():
                assert allowed.shape == (len(examples.truth), len(self.make().labels(self.root())))
                assert allowed.dtype == torch.bool
                assert bool(allowed.gather(1, examples.truth[:, None]).all()), f"{name} forbids a true label"

    def test_tracks_name_every_example(self) -> None:
        for split in ("train", "test"):
            examples = self._load(split)
            if examples.tracks is not None:
                assert examples.tracks.dtype == torch.int64
                assert examples.tracks.shape == examples.truth.shape

    def test_loading_twice_gives_the_same_examples(self) -> None:
        for split in ("train", "test"):
            first, again = self._load(split), self._load(split)
            assert torch.equal(first.truth, again.truth)
            assert all(torch.equal(view, again.views[name]) for name, view in first.views.items())

    def test_a_set_that_is_not_there_is_an_error_that_says_where_it_was_sought(self) -> None:
        if not self.needs_root:
            return
        with tempfile.TemporaryDirectory() as folder:
            message = _refusal(self.make(), Path(folder))
            assert folder in message, f"the message does not say where the set was sought: {message}"

    def _load(self, split: str) -> Examples:
        return self.make().load(split, self.root())


def _refusal(dataset: Dataset, root: Path) -> str:
    try:
        dataset.load("test", root)
    except DataError as error:
        return str(error)
    raise AssertionError("a set that is not there was loaded")
