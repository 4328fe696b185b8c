"""Sets and splits that are not there, and files that are damaged: told plainly."""

import numpy as np
import pytest
from datasets_toys import WITH_PICTURES, WITH_TABLES, idx, lay_fashion, picture, save

from hiercls.words.errors import DataError
from hiercls_plugins.datasets.digits import Digits
from hiercls_plugins.datasets.files import Cifar10, Cifar10Jpeg, FashionMnist, Gtsrb
from hiercls_plugins.datasets.folder import ImageFolder


def test_a_missing_set_names_the_places_and_what_to_do(tmp_path):
    with pytest.raises(DataError) as told:
        FashionMnist().load("train", tmp_path)
    text = str(told.value)
    assert str(tmp_path / "FashionMNIST/raw/train-images-idx3-ubyte") in text
    assert "set HIERCLS_DATA to a folder that holds FashionMNIST/raw/train-images-idx3-ubyte" in text
    assert "HIERCLS_DATA is not set" not in text
    assert told.value.exit_code == 3
    with pytest.raises(DataError, match="HIERCLS_DATA is not set"):
        Cifar10().load("train", None)


@pytest.mark.parametrize("dataset", [FashionMnist(), Cifar10(), Cifar10Jpeg(), Gtsrb(), ImageFolder(folder="mine")])
def test_every_set_that_is_missing_is_told(dataset, tmp_path):
    with pytest.raises(DataError, match=rf"dataset '.*' is not there: searched {tmp_path}"):
        dataset.load("test", tmp_path)


@pytest.mark.parametrize("dataset", [Digits(), FashionMnist(), Cifar10(), Cifar10Jpeg(), Gtsrb()])
def test_there_are_two_splits(dataset, tmp_path):
    with pytest.raises(DataError, match="no split 'validation'; the splits are train and test"):
        dataset.load("validation", tmp_path)


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: b"\x80" + content[1:], lambda _: b""])
def test_a_damaged_idx_file_is_told(tmp_path, damage):
    lay_fashion(tmp_path)
    path = tmp_path / "FashionMNIST/raw/t10k-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte: not an IDX file"):
        FashionMnist().load("test", tmp_path)


def test_a_damaged_archive_is_told(tmp_path):
    lay_fashion(tmp_path, ending=".gz")
    path = tmp_path / "FashionMNIST/raw/t10k-images-idx3-ubyte.gz"
    for content in (path.read_bytes()[:-20], b"no archive"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"ubyte.gz: cannot be read"):
            FashionMnist().load("test", tmp_path)


def test_pictures_and_labels_must_agree_in_number(tmp_path):
    lay_fashion(tmp_path)
    (tmp_path / "FashionMNIST/raw/t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(DataError, match="3 labels are not the test split"):
        FashionMnist().load("test", tmp_path)


@WITH_PICTURES
@pytest.mark.parametrize(
    ("table", "message"),
    [("Filename;ClassId\n00000.ppm;43\n", "found class '43'"), ("a,b\n1,2\n", "not the table of test labels")],
)
def test_a_damaged_table_of_signs_is_told(tmp_path, table, message):
    (tmp_path / "gtsrb").mkdir()
    (tmp_path / "gtsrb/GT-final_test.csv").write_text(table)
    with pytest.raises(DataError, match=message):
        Gtsrb().load("test", tmp_path)


@WITH_PICTURES
def test_a_sign_without_a_track_in_its_name_is_told(tmp_path):
    save(tmp_path / "gtsrb/GTSRB/Training/00000/sign.ppm", picture())
    with pytest.raises(DataError, match="training pictures are named TRACK_FRAME"):
        Gtsrb().load("train", tmp_path)


@WITH_PICTURES
def test_a_test_class_that_was_never_trained_is_told(tmp_path):
    save(tmp_path / "mine/train/cat/1.png", picture())
    save(tmp_path / "mine/test/dog/1.png", picture())
    with pytest.raises(DataError, match="dog: is no class of the training split"):
        ImageFolder(folder="mine").load("test", tmp_path)


@WITH_PICTURES
def test_a_file_that_is_no_picture_is_told(tmp_path):
    place = tmp_path / "mine/train/cat/1.png"
    save(place, picture())
    place.write_bytes(place.read_bytes()[:200])
    with pytest.raises(DataError, match=r"1.png: not a readable picture"):
        ImageFolder(folder="mine").load("train", tmp_path)


@WITH_PICTURES
def test_an_empty_folder_is_told(tmp_path):
    (tmp_path / "mine/train").mkdir(parents=True)
    with pytest.raises(DataError, match="train: holds no folder of a class"):
        ImageFolder(folder="mine").labels(tmp_path)
    (tmp_path / "mine/train/cat").mkdir()
    with pytest.raises(DataError, match="train: holds no picture"):
        ImageFolder(folder="mine").load("train", tmp_path)


@WITH_TABLES
def test_a_damaged_table_of_pictures_is_told(tmp_path):
    (tmp_path / "cifar10-jpeg-test.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match=r"cifar10-jpeg-test.parquet: not a parquet table"):
        Cifar10Jpeg().load("test", tmp_path)
