import json

import polars as pl
import pytest

from opencoder_lib.chapter import Chapter, read_parameters, start_chapter
from opencoder_lib.errors import ConfigError, MissingArtifact, SchemaError
from opencoder_lib.files import mark_removed, new_files
from opencoder_lib.report import claim

CORPUS, EXACT = "01-collect-and-preprocess", "02-exact-dedup"


def parameters_cell(source):
    return {"cells": [{"metadata": {"tags": ["parameters"]}, "source": source}]}


@pytest.fixture
def files():
    return new_files([{"path": f"{name}.py", "origin": "folder", "text": name} for name in "abc"])


@pytest.fixture
def open_chapter(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENCODER_BATCH", "1")

    def build(name, needs=(), profile="toy"):
        return Chapter(name, profile, 0, tmp_path, list(needs), {"seed": 0})

    return build


def removed(files, rows):
    ids = files["doc_id"].to_list()
    return mark_removed(files, pl.DataFrame({"doc_id": [ids[row] for row in rows], "removed_by": "exact.duplicate"}))


def test_parameters_are_read_without_running_anything():
    assert read_parameters(parameters_cell(["a = 1  # one\n", 'b = [2.5, "x"]\n', "c = -3"])) == {
        "a": 1,
        "b": [2.5, "x"],
        "c": -3,
    }


def test_a_derived_parameter_is_refused_because_an_override_would_not_reach_it():
    with pytest.raises(ConfigError, match="Parameter 'b' is not a literal; derive it in the next cell"):
        read_parameters(parameters_cell("a = 1\nb = a / 2"))


def test_anything_but_an_assignment_among_the_parameters_is_refused():
    with pytest.raises(ConfigError, match="line 2 is something else"):
        read_parameters(parameters_cell("a = 1\nprint(a)"))


def test_a_notebook_without_a_parameters_cell_is_refused():
    with pytest.raises(ConfigError, match="exactly one cell tagged 'parameters'; this one has 0"):
        read_parameters({"cells": []})


def test_an_unknown_profile_and_chapter_are_named(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / f"{CORPUS}.ipynb").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("OPENCODER_ROOT", str(tmp_path))
    with pytest.raises(ConfigError, match=r"There is no chapter '01-colect-and-preprocess'\. Did you mean 01-collect"):
        start_chapter("01-colect-and-preprocess", "toy", 0)
    with pytest.raises(ConfigError, match=r"There is no profile 'tyo'\. Did you mean toy"):
        Chapter(CORPUS, "tyo", 0, tmp_path, [], {})


def test_changed_texts_are_read_by_all_later_chapters(open_chapter, files):
    open_chapter(CORPUS).save(corpus=files)
    changed = pl.DataFrame({"doc_id": files["doc_id"][1:2], "text": ["new"]})
    transform = open_chapter("04-transform", [CORPUS])
    transform.save(corpus=transform.load_corpus(CORPUS), texts=changed)
    after = open_chapter("05-heuristic-filters", [CORPUS, "04-transform"])
    found = after.load_corpus("04-transform")
    assert found["text"].to_list() == ["a", "new", "c"]
    assert found.drop("text").equals(files.drop("text"))
    after.save(corpus=removed(found, [0]))
    later = open_chapter("08-map-the-corpus", [CORPUS, "04-transform", "05-heuristic-filters"])
    assert later.load_corpus("05-heuristic-filters")["text"].to_list() == ["a", "new", "c"]
    assert "04-transform/texts" in later.inputs


def test_a_chapter_that_reads_changed_texts_names_the_chapter_that_changed_them(open_chapter, files):
    open_chapter(CORPUS).save(corpus=files)
    open_chapter("04-transform", [CORPUS]).save(corpus=files, texts=files.head(1))
    with pytest.raises(ConfigError, match="reads 04-transform but its metadata"):
        open_chapter("05-heuristic-filters", [CORPUS]).load_corpus("04-transform")


def test_reading_a_chapter_that_the_card_does_not_name_is_an_error(open_chapter, files):
    open_chapter(CORPUS).save(corpus=files)
    with pytest.raises(
        ConfigError, match=rf"03-fuzzy-dedup reads {CORPUS} but its metadata cookbook\.needs lists \[\]"
    ):
        open_chapter("03-fuzzy-dedup").load_corpus(CORPUS)


def test_a_chapter_before_the_one_it_needs_is_an_error_in_batch(open_chapter):
    with pytest.raises(
        MissingArtifact,
        match=rf"chapter {EXACT} needs 'documents' from {CORPUS} \(profile toy\)\. Run: make run ONLY=01",
    ):
        open_chapter(EXACT, [CORPUS]).load_corpus(CORPUS)


def test_the_corpus_after_a_chapter_is_documents_with_its_judgements(open_chapter, files):
    open_chapter(CORPUS).save(corpus=files)
    second = open_chapter(EXACT, [CORPUS])
    judged = removed(second.load_corpus(CORPUS), [1])
    second.save(corpus=judged)
    third = open_chapter("03-fuzzy-dedup", [CORPUS, EXACT])
    assert third.load_corpus(EXACT).equals(judged)
    assert third.load_corpus(CORPUS).equals(files)
    assert sorted(third.inputs) == [f"{CORPUS}/documents", f"{EXACT}/judgements"]


def test_later_chapters_store_no_text(open_chapter, files):
    open_chapter(CORPUS).save(corpus=files)
    second = open_chapter(EXACT, [CORPUS])
    second.save(corpus=second.load_corpus(CORPUS))
    assert second.store.load(EXACT, "judgements").columns == ["doc_id", "removed_by", "survivor", "measured"]


def test_a_frame_that_is_no_file_frame_is_not_stored(open_chapter, files):
    with pytest.raises(SchemaError, match="column 'text' is missing"):
        open_chapter(CORPUS).save(corpus=files.drop("text"))


def test_the_record_says_what_was_read_made_and_claimed(open_chapter, files):
    open_chapter(CORPUS).save(corpus=files)
    second = open_chapter(EXACT, [CORPUS])
    second.claims.append(claim("exact.frac_removed", 0.1, because="packages are curated", comparable=False))
    second.save(corpus=second.load_corpus(CORPUS), groups={"sizes": [2]})
    record = json.loads((second.store.build / "chapters" / f"{EXACT}.json").read_text(encoding="utf-8"))
    documents = second.store.describe(CORPUS, "documents")["sha256"]
    assert record["inputs"] == {f"{CORPUS}/documents": documents}
    assert sorted(record["artifacts"]) == ["groups", "judgements"]
    assert record["claims"][0]["outcome"] == "not comparable at this size"
    assert record["seed"] == 0
    assert record["peak_memory_mb"] > 0


def test_the_same_content_gives_the_same_hash_in_another_run(open_chapter, files):
    first = open_chapter(CORPUS)
    first.save(corpus=files)
    before = first.store.describe(CORPUS, "documents")["sha256"]
    open_chapter(CORPUS).save(corpus=files)
    assert first.store.describe(CORPUS, "documents")["sha256"] == before


def test_run_by_hand_a_chapter_first_builds_what_never_ran(open_chapter, monkeypatch, capsys):
    calls = []

    def pretend(command, env, **_):
        calls.append((command[1:], "FORCE_COLOR" in env))
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr("opencoder_lib.chapter.subprocess.run", pretend)
    monkeypatch.setenv("FORCE_COLOR", "1")
    open_chapter(EXACT, [CORPUS]).build_missing()
    assert calls == [(["-m", "opencoder_lib", "run", "--only", "01", "--profile", "toy"], False)]
    assert f"{EXACT} needs {CORPUS}, which has not run (profile toy). Running it first" in capsys.readouterr().out
