"""README.md of an output: a header that hubs read, and a text in which names are names whatever they hold."""

import json
import re
import shlex

import pytest
import yaml
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt
from reports import HOSTILE, hostile_report, read_kept, whole_report
from typer.testing import CliRunner

from opencoder_lib.clean.card import OPTIONS, card, command, quoted
from opencoder_lib.cli import app

SIZES = ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B", "10B<n<100B"]
SIZES += ["100B<n<1T", "n>1T"]
# Kinds of tokens that a card is made of; HTML and links are not among them.
INLINE = {"text", "code_inline", "strong_open", "strong_close"}


def header(text: str) -> dict:
    """The YAML header, as PyYAML reads it."""
    assert text.startswith("---\n")
    return yaml.safe_load(text[4 : text.index("\n---\n", 4)])


def body(text: str) -> str:
    return text[text.index("\n---\n", 4) + 5 :]


def tokens(text: str) -> list:
    return MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table").parse(body(text))


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a card as rows of cells in plain text."""
    found: list[list[list[str]]] = []
    for token in tokens(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and token.level >= 4 and found:
            found[-1][-1].append("".join(child.content for child in token.children))
    return found


def with_licences(*names: str | None) -> dict:
    rows = [{"license": name, "permissive": True, **read_kept((2, 2), (1, 1))} for name in names]
    return whole_report() | {"licences": rows}


def with_kept(n: int) -> dict:
    report = whole_report()
    report["funnel"][-1]["files_after"] = n
    return report


# The header


def test_the_header_is_what_a_hub_expects():
    assert header(card(whole_report(), "my corpus")) == {
        "pretty_name": "my corpus",
        "language": ["code"],
        "license": "other",
        "license_name": "mixed",
        "size_categories": ["n<1K"],
        "task_categories": ["text-generation"],
        "tags": ["code", "deduplicated", "opencoder-clean"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "kept/*.parquet"}]}],
    }


@pytest.mark.parametrize("report", [whole_report(), hostile_report(), {}], ids=["whole", "hostile", "empty"])
def test_the_hub_library_reads_the_card(report):
    text = card(report)
    found = DatasetCard(text, ignore_metadata_errors=False)
    assert found.data.to_dict() == header(text)
    assert found.data.task_categories == ["text-generation"]
    assert found.text.strip() == body(text).strip()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["MIT"], {"license": "mit"}),
        (["Apache-2.0"], {"license": "apache-2.0"}),
        (["GPL-3.0-only"], {"license": "gpl-3.0"}),
        (["AGPL-3.0-or-later"], {"license": "agpl-3.0"}),
        (["MIT", "Apache-2.0"], {"license": "other", "license_name": "mixed"}),
        (["MIT", None], {"license": "other", "license_name": "mixed"}),
        ([None], {"license": "unknown"}),
        ([], {"license": "unknown"}),
        (["LicenseRef-Own Licence"], {"license": "other", "license_name": "licenseref-own-licence"}),
        (["***"], {"license": "other", "license_name": "unknown"}),
    ],
    ids=str,
)
def test_one_licence_has_the_id_of_hubs_and_several_are_mixed(names, expected):
    found = header(card(with_licences(*names)))
    assert {name: value for name, value in found.items() if name.startswith("license")} == expected


def test_a_licence_of_which_no_file_was_kept_does_not_count():
    report = with_licences("MIT", "GPL-3.0-only")
    report["licences"][1] |= {"files_kept": 0, "bytes_kept": 0}
    assert header(card(report))["license"] == "mit"


@pytest.mark.parametrize(
    ("n", "place"),
    [
        (0, 0),
        (999, 0),
        (1000, 1),
        (9_999, 1),
        (10_000, 2),
        (10**6, 4),
        (10**9, 7),
        (10**11, 9),
        (10**12, 10),
        (10**15, 10),
    ],
)
def test_sizes_are_in_the_categories_of_hubs(n, place):
    assert header(card(with_kept(n)))["size_categories"] == [SIZES[place]]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "yes",
            "1.0",
            "null",
            "- a: b",
            "a: b # c",
            "'",
            '"',
            "\\",
            "\n---\n",
            "---",
            "é 漢 \U0001f600",
            "{a}",
            "&a *b",
        ),
        *("\x7f", "\x85", "\x9f", "a\u2028b\u2029c", "\ufeffa", "\ufffe", "\x00\x1b", "\t", "%YAML", "!!python/object"),
    ],
)
def test_any_name_comes_back_from_the_header_as_it_was(name):
    text = card(whole_report(), name)
    assert header(text)["pretty_name"] == name
    assert DatasetCard(text).data.pretty_name == name


def test_half_a_pair_of_surrogates_is_no_character():
    assert yaml.safe_load(quoted(["a\ud800b"])) == ["a\ufffdb"]


def test_a_card_without_a_name_is_called_after_its_inputs():
    assert header(card(whole_report()))["pretty_name"] == "Cleaned code from clones, stars.csv"
    many = whole_report() | {"inputs": ["/data/one/", "C:\\two", "three.parquet", "four", "five"]}
    assert header(card(many))["pretty_name"] == "Cleaned code from one, two, three.parquet and 2 more"


# The text


def test_the_card_says_what_was_kept_removed_and_changed():
    text = card(whole_report())
    assert "400 files of source code (8.00 MB, 3 languages), which is 40.0 % of the 1,000 files (40.0 MB)" in text
    licences, stages, reasons, languages, budgets, transforms, parameters, files = tables(text)
    assert ["GPL-3.0-only", "no", "100", "2.00 MB", "300"] in licences
    assert ["none known", "no", "50", "1.00 MB", "100"] in licences
    assert ["exact", "300", "33.3 %", "3.00 MB", "15.0 %", "600", "17.0 MB"] in stages
    assert reasons[1:3] == [["exact.duplicate", "300", "3.00 MB"], ["preprocess.binary", "90", "19.5 MB"]]
    assert languages[1] == ["python", "code", "200", "4.00 MB", "50.0 %"]
    assert ["html", "90.0 MB", "2.00 MB", "2.00 MB"] in budgets
    assert ["personal_data", "email", "30", "60", "-100"] in transforms
    assert files[1] == ["kept/000000-000.parquet", "2,100,000", "d" * 64]
    assert len(parameters) > 10


def test_every_parameter_is_in_the_card_as_one_would_type_it():
    found = dict(tables(card(whole_report()))[-2][1:])
    assert found["max_bytes"] == "8000000"
    assert found["minhash.verify"] == "none"
    assert found["budgets.java"] == "2000000"
    assert found["rulebook_sha256"] == "b" * 64
    assert found["versions.polars"] == "2.1.0"


def test_the_card_warns_of_what_must_not_be_published():
    assert (
        "**In `removed/`, what went before the transform lies as it was found: do not publish that folder.**"
        in card(whole_report())
    )


def test_the_card_never_promises_a_redaction_that_was_not_done():
    done = whole_report()
    assert "Placeholders replaced 60 places in texts (`email` 60)" in card(done)
    none = whole_report() | {"transforms": []}
    assert "found no personal data to replace. Patterns find what has the form" in card(none)
    done["about"]["settings"]["stages"] = ["preprocess", "exact"]
    assert "Nothing was redacted in this run" in card(done)
    assert "Placeholders" not in card(done)
    assert "Nothing was redacted in this run" in card({})


def test_names_that_try_to_be_markup_are_text():
    text = card(hostile_report(), HOSTILE)
    kinds = set()
    for token in tokens(text):
        assert token.type not in ("html_block", "hr")
        kinds |= {child.type for child in token.children or ()}
    assert kinds <= INLINE
    # The command is code and quotes what it must; nowhere else is anything that looks like HTML.
    (command_line,) = [token.content for token in tokens(text) if token.type == "fence"]
    assert "<script" not in body(text).replace(command_line, "")
    assert "\x1b" not in text
    shown = HOSTILE.replace("\n", "\u2424").replace("\x1b", "\u241b")
    assert any(shown in cell for table in tables(text) for row in table for cell in row)


def test_a_name_never_adds_a_cell_to_a_table():
    clean, hostile = tables(card(whole_report())), tables(card(hostile_report()))
    # Of hostile names no stage is `personal_data` and none has a budget of its own, so the tables are the same ones.
    assert len(clean) == len(hostile)
    for table in hostile:
        assert {len(row) for row in table} == {len(table[0])}


@pytest.mark.parametrize(
    "name",
    [
        "`",
        "``a`",
        "a|b",
        "<b>",
        "[a](b)",
        "![a](b)",
        "$a$",
        "**a**",
        "__init__",
        "~~a~~",
        "1. a",
        "+ a",
        "# a",
        "\\|",
        "&lt;",
    ],
)
def test_an_input_of_any_name_reads_as_it_is_called(name):
    text = card(whole_report() | {"inputs": [name]})
    inline = [token for token in tokens(text) if token.type == "inline"]
    sources = next(at for at, token in enumerate(inline) if token.content == "Sources")
    children = inline[sources + 1].children
    assert {child.type for child in children} <= INLINE
    assert "".join(child.content for child in children) == name


@pytest.mark.parametrize("key", whole_report())
def test_no_part_of_a_report_is_needed(key):
    report = whole_report()
    del report[key]
    assert header(card(report))["language"] == ["code"]


def test_the_same_report_gives_the_same_card():
    assert card(whole_report()) == card(json.loads(json.dumps(whole_report(), sort_keys=True)))


# How to repeat it


def test_the_command_says_again_what_was_asked_for():
    about = whole_report()["about"]
    about["inputs"] = ["my clones", "a'b.parquet"]
    about["settings"]["minhash"]["verify"] = 0.8
    about["settings"]["against"] = ["one", "two"]
    about["columns"]["text"] = "content"
    assert shlex.split(command(about)) == [
        *("opencoder", "clean", "my clones", "a'b.parquet", "--out", "DIR"),
        *(
            "--stages",
            "preprocess,exact,fuzzy,transform,filter,sample",
            "--bands",
            "16",
            "--rows",
            "128",
            "--ngram",
            "5",
        ),
        *("--verify", "0.8", "--rulebook", "released", "--licences", "permissive", "--text-files", "all"),
        *("--against", "one", "--against", "two", "--stars", "stars.csv", "--text-column", "content"),
        *("--budget", "html=90000000", "--budget", "java=2000000", "--no-notebooks"),
    ]
    about["settings"] |= {"budgets": {}, "notebooks": True}
    assert shlex.split(command(about))[-2:] == ["--budget", "none"]


def test_no_folder_of_whoever_made_it_is_published():
    report = whole_report()
    report["inputs"] = report["about"]["inputs"] = ["/home/ann/secret/clones", "hub:owner/name@main"]
    report["about"]["settings"]["against"] = ["/home/ann/secret/earlier"]
    report["unreadable_lines"] = {"/home/ann/secret/a.jsonl": {"n": 1, "examples": ["line 1: not JSON"]}}
    text = card(report)
    assert "ann" not in text.replace("cannot", "")
    assert "earlier" in text
    assert "hub:owner/name@main" in text.replace("&#58;", ":").replace("&#64;", "@")


def test_every_option_of_the_command_is_one_of_opencoder_clean():
    shown = CliRunner().invoke(app, ["clean", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert [option for option in (*OPTIONS.values(), "--stages", "--out") if option not in plain] == []


def test_backticks_in_a_name_do_not_end_the_block_of_the_command():
    report = whole_report()
    report["about"]["inputs"] = ["a```\n# heading\n````b"]
    (fence,) = [token for token in tokens(card(report)) if token.type == "fence"]
    assert shlex.split(fence.content)[2] == "a```\n# heading\n````b"
