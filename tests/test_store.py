import json
import resource

import polars as pl
import pytest

from opencoder_lib.durable import write_atomically
from opencoder_lib.errors import CorruptArtifact, MissingArtifact
from opencoder_lib.store import Store, project_root, write_json

FRAME = pl.DataFrame({"doc_id": ["a", "b"], "measured": [0.5, None]})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, "toy")


def test_a_frame_reads_back_as_it_was_and_its_description_says_what_it_is(store):
    store.save("01-count", "frame", FRAME, {"seed": 3})
    assert store.load("01-count", "frame").equals(FRAME)
    about = store.describe("01-count", "frame")
    assert (about["rows"], about["seed"], about["file"]) == (2, 3, "frame.parquet")
    assert about["schema"] == {"doc_id": "String", "measured": "Float64"}


def test_plain_data_and_files_read_back(store, tmp_path):
    store.save("01-count", "data", {"b": [1, 2], "a": None}, {})
    assert store.load("01-count", "data") == {"b": [1, 2], "a": None}
    source = tmp_path / "weights.bin"
    source.write_bytes(b"\x00\x01")
    store.save("01-count", "weights", source, {})
    assert store.path("01-count", "weights").read_bytes() == b"\x00\x01"


def test_a_json_file_and_its_description_do_not_overwrite_each_other(store, tmp_path):
    source = tmp_path / "tokenizer.json"
    source.write_text('{"vocab": 3}', encoding="utf-8")
    store.save("01-count", "tokenizer", source, {"seed": 3})
    assert store.path("01-count", "tokenizer").read_text(encoding="utf-8") == '{"vocab": 3}'
    assert store.describe("01-count", "tokenizer")["seed"] == 3


def test_equal_content_has_an_equal_hash(store):
    first = store.save("01-count", "frame", FRAME, {})
    assert store.save("01-count", "frame", FRAME.clone(), {"seed": 1})["sha256"] == first["sha256"]


def test_a_missing_artifact_names_asker_name_chapter_profile_and_command(tmp_path):
    with pytest.raises(MissingArtifact) as found:
        Store(tmp_path, "gpu").load("02-exact-dedup", "judgements", "chapter 03-fuzzy-dedup")
    assert str(found.value) == (
        "chapter 03-fuzzy-dedup needs 'judgements' from 02-exact-dedup (profile gpu). Run: make run ONLY=02 PROFILE=gpu"
    )


@pytest.mark.parametrize("damage", ["truncated", "changed", "gone"])
def test_a_damaged_artifact_is_never_read(store, damage):
    store.save("01-count", "frame", FRAME, {})
    path = store.folder("01-count") / "frame.parquet"
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:40] if damage == "truncated" else data[:40] + b"\xff" + data[41:])
    with pytest.raises(
        CorruptArtifact, match=r"frame\.parquet of chapter 01-count .*cut off or changed\. Run: make run ONLY=01"
    ):
        store.load("01-count", "frame")


def test_a_cut_off_description_is_named(store):
    store.save("01-count", "frame", FRAME, {})
    path = store.folder("01-count") / "frame.json"
    path.write_text(path.read_text(encoding="utf-8")[:20], encoding="utf-8")
    with pytest.raises(CorruptArtifact, match=r"frame\.json in 01-count is not valid JSON"):
        store.load("01-count", "frame")


def test_an_artifact_whose_description_was_never_written_does_not_exist(store):
    store.folder("01-count").mkdir(parents=True)
    FRAME.write_parquet(store.folder("01-count") / "frame.parquet")
    with pytest.raises(MissingArtifact):
        store.load("01-count", "frame")


def test_an_error_while_writing_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, 1)

    def break_off(temporary):
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError("broken off")

    with pytest.raises(RuntimeError, match="broken off"):
        write_atomically(path, break_off)
    assert json.loads(path.read_text(encoding="utf-8")) == 1
    assert [found.name for found in tmp_path.iterdir()] == ["value.json"]


def test_a_full_disk_leaves_the_old_artifact_readable(store):
    store.save("01-count", "data", [1], {})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            store.save("01-count", "data", list(range(5_000)), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert store.load("01-count", "data") == [1]
    assert not [path for path in store.folder("01-count").iterdir() if path.suffix == ".tmp"]


def test_the_checkout_is_found_upwards(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "_config.yml").touch()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.delenv("OPENCODER_ROOT", raising=False)
    monkeypatch.chdir(below)
    assert project_root() == tmp_path.resolve()
