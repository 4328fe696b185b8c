"""Datasets, read from files made here."""

import pytest
import torch
from datasets_toys import WITH_PICTURES, WITH_TABLES, lay_fashion, picture, save

from hiercls.values.views import require_domain
from hiercls.words.errors import DataError
from hiercls.words.threats import Domain
from hiercls_plugins.datasets.digits import Digits, DigitsTwoViews
from hiercls_plugins.datasets.files import Cifar10, Cifar10Jpeg, FashionMnist, Gtsrb
from hiercls_plugins.datasets.folder import ImageFolder
from hiercls_plugins.datasets.names import CIFAR10


def channels_first(pixels):
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def test_digits_are_divided_once_and_evenly():
    from sklearn.datasets import load_digits

    train, test = Digits().load("train", None), Digits().load("test", None)
    both = torch.cat([train.views["image"], test.views["image"]]).flatten(1) * 16
    whole = torch.from_numpy(load_digits().data).float()
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, whole.tolist()))
    shares = test.truth.bincount() / (test.truth.bincount() + train.truth.bincount())
    assert bool(((shares - 0.2).abs() < 0.01).all())
    assert torch.equal(Digits().load("test", None).truth, test.truth)
    require_domain(both / 16, Domain("grid", levels=16), "digits")


def test_the_truth_of_digits_belongs_to_its_picture():
    from sklearn.datasets import load_digits

    names = {tuple(x.tolist()): int(y) for x, y in zip(load_digits().data, load_digits().target, strict=True)}
    test = Digits().load("test", None)
    pictures = (test.views["image"].flatten(1) * 16).double()
    assert [names[tuple(x.tolist())] for x in pictures] == test.truth.tolist()


def test_the_second_view_and_the_mask_speak_of_the_same_digit():
    dataset = DigitsTwoViews()
    plain, both = Digits().load("test", None), dataset.load("test", None)
    assert torch.equal(both.views["image"], plain.views["image"])
    assert {name: tuple(view.shape[1:]) for name, view in both.views.items()} == dict(dataset.views())
    inked = (plain.views["image"][5, 0] >= 0.5).float()
    squares = [[inked[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].mean() for c in range(4)] for r in range(4)]
    assert torch.equal(both.views["lidar"][5, 0], torch.tensor(squares))
    allowed = both.allowed[dataset.masks()[0]]
    assert bool(allowed.gather(1, both.truth[:, None]).all())
    crossing = allowed.all(dim=1)
    assert 0.2 < float(crossing.float().mean()) < 0.3
    parity = torch.arange(10)[None] % 2 == both.truth[:, None] % 2
    assert torch.equal(allowed[~crossing], parity[~crossing])


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_are_read(tmp_path, ending):
    images, truth = lay_fashion(tmp_path, ending=ending)
    found = FashionMnist().load("test", tmp_path)
    assert torch.equal(found.views["image"][:, 0], torch.from_numpy(images).float() / 255)
    assert found.truth.tolist() == truth.tolist()
    assert found.truth.dtype == torch.int64


def test_pixels_are_exactly_k_of_255(tmp_path):
    lay_fashion(tmp_path, 50)
    image = FashionMnist().load("test", tmp_path).views["image"]
    assert image.dtype == torch.float32
    steps = (image.double() * 255).round()
    assert torch.equal((steps / 255).float(), image)


def test_the_binary_version_of_cifar_is_read(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    pixels = [picture() for _ in range(10)]
    records = [bytes((k,)) + one.transpose(2, 0, 1).tobytes() for k, one in enumerate(pixels)]
    for batch in range(5):
        (folder / f"data_batch_{batch + 1}.bin").write_bytes(b"".join(records[2 * batch : 2 * batch + 2]))
    found = Cifar10().load("train", tmp_path)
    assert found.truth.tolist() == list(range(10))
    assert torch.equal(found.views["image"], torch.stack([channels_first(one) for one in pixels]))
    (folder / "test_batch.bin").write_bytes(records[0][:-1])
    with pytest.raises(DataError, match="test_batch.bin: not records of 3073 bytes"):
        Cifar10().load("test", tmp_path)


@WITH_PICTURES
def test_traffic_signs_are_read_with_their_tracks(tmp_path):
    base = tmp_path / "gtsrb" / "GTSRB"
    first, last = picture(), picture((40, 60, 3))
    save(base / "Training/00000/00000_00000.ppm", first)
    save(base / "Training/00000/00000_00001.ppm", picture())
    save(base / "Training/00000/00001_00000.ppm", picture())
    save(base / "Training/00042/00000_00000.ppm", last)
    save(base / "Final_Test/Images/00000.ppm", first)
    (tmp_path / "gtsrb/GT-final_test.csv").write_text("Filename;Width;ClassId\n00000.ppm;32;16\n")
    train, test = Gtsrb().load("train", tmp_path), Gtsrb().load("test", tmp_path)
    assert train.truth.tolist() == [0, 0, 0, 42]
    assert len(set(train.tracks.tolist())) == 3
    assert train.tracks[0] == train.tracks[1]
    assert train.views["image"].shape == (4, 3, 32, 32)
    assert test.truth.tolist() == [16]
    assert test.tracks is None
    for found in (train, test):
        assert torch.equal(found.views["image"][0], channels_first(first))
    assert len(Gtsrb().labels(None)) == len(set(Gtsrb().labels(None))) == 43


@WITH_PICTURES
def test_a_folder_of_pictures_is_a_dataset(tmp_path):
    own = {"cat": picture(), "dog": picture()}
    for name, pixels in own.items():
        save(tmp_path / "mine/train" / name / "1.png", pixels)
        (tmp_path / "mine/train" / name / "notes.txt").write_text("no picture")
    save(tmp_path / "mine/test/dog/1.png", picture((20, 50, 3)))
    dataset = ImageFolder(folder="mine")
    assert dataset.labels(tmp_path) == ("cat", "dog")
    train, test = dataset.load("train", tmp_path), dataset.load("test", tmp_path)
    assert torch.equal(train.views["image"], torch.stack([channels_first(pixels) for pixels in own.values()]))
    assert test.truth.tolist() == [1]
    assert test.views["image"].shape == (1, 3, 32, 32)
    grey = ImageFolder(folder=str(tmp_path / "mine"), size=8, grey=True)
    assert grey.load("test", None).views["image"].shape[1:] == grey.views()["image"] == (1, 8, 8)


@WITH_PICTURES
@WITH_TABLES
def test_jpeg_cifar_is_the_same_from_a_table_and_from_folders(tmp_path):
    import pyarrow
    import pyarrow.parquet

    truth = [3, 0, 9]
    for k, label in enumerate(truth):
        save(tmp_path / "folders/cifar10-jpeg/test" / CIFAR10[label] / f"{k}.jpg", picture())
    files = [tmp_path / "folders/cifar10-jpeg/test" / CIFAR10[label] / f"{k}.jpg" for k, label in enumerate(truth)]
    table = pyarrow.table({"image": [file.read_bytes() for file in files], "label": truth})
    (tmp_path / "tables/cifar10-jpeg").mkdir(parents=True)
    pyarrow.parquet.write_table(table, tmp_path / "tables/cifar10-jpeg/cifar10-jpeg-test.parquet")
    folders, tables = (Cifar10Jpeg().load("test", tmp_path / name) for name in ("folders", "tables"))
    assert tables.truth.tolist() == truth
    assert folders.truth.tolist() == sorted(truth)
    assert torch.equal(tables.views["image"][[1, 0, 2]], folders.views["image"])
