import json
from math import inf
from pathlib import Path

import pytest

from hiercls.values.records import Appender, canonical, digest, read_json, read_rows, write_atomic
from hiercls.words.errors import DataError


def test_one_value_has_one_text():
    assert canonical({"b": (1, 2.5), "a": inf}) == '{"a":"inf","b":[1,2.5]}'
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 1.5})


def test_rows_come_back_as_they_went_in(tmp_path: Path):
    rows = [{"index": k, "radii": [0.1 + k, 1e-300, inf]} for k in range(5)]
    with Appender(tmp_path / "part-0.jsonl") as part:
        for row in rows:
            part.append(row)
    found = [[float(radius) for radius in row["radii"]] for row in read_rows(tmp_path)]
    assert found == [row["radii"] for row in rows]


def test_a_torn_last_row_is_passed_over_and_cut_before_the_next(tmp_path: Path):
    path = tmp_path / "part-0.jsonl"
    path.write_text('{"index":1}\n{"index":2}\n{"ind')
    assert [row["index"] for row in read_rows(tmp_path)] == [1, 2]
    with Appender(path) as part:
        part.append({"index": 3})
    assert [json.loads(line)["index"] for line in path.read_text().splitlines()] == [1, 2, 3]


def test_a_broken_row_in_the_middle_is_an_error_with_its_place(tmp_path: Path):
    (tmp_path / "part-0.jsonl").write_text('{"index":1}\n{"ind\n{"index":2}\n')
    with pytest.raises(DataError, match=r"part-0.jsonl:2: is not a row of JSON"):
        list(read_rows(tmp_path))


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "meta.json"
    write_atomic(path, "old")

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(DataError, match="No space left on device"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unreadable_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match="cannot be read"):
        read_json(tmp_path / "missing.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        read_json(tmp_path / "broken.json")


def test_an_unwritable_folder_is_an_error_of_files(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        Appender(blocked / "part-0.jsonl")
    with pytest.raises(DataError, match="cannot be written"):
        write_atomic(blocked / "meta.json", "x")


def test_a_disk_that_is_full_at_the_end_is_told_with_the_file_and_closes_it(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "part-0.jsonl"
    monkeypatch.setattr("os.fsync", full)
    with (
        pytest.raises(DataError, match=r"part-0\.jsonl: cannot be written: No space left on device"),
        Appender(path) as part,
    ):
        part.append({"index": 0})
    assert part._file.closed
