"""Notebooks as markdown, code and output: against nbformat, and against what people put into .ipynb files."""

import json

import nbformat
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import v2, v3, v4
from stage_contract import assert_stage_contract, file_frames

from opencoder_lib.errors import InputError
from opencoder_lib.files import new_files
from opencoder_lib.refine.notebooks import (
    Cell,
    Triplet,
    count_notebooks,
    read_notebook,
    structure_notebooks,
    structured,
    triplets,
)
from opencoder_lib.refine.preprocess import keep_source_files


def notebook(*cells: dict, **metadata) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": list(cells)})


def code(source, *outputs: dict) -> dict:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def markdown(source) -> dict:
    return {"cell_type": "markdown", "source": source}


def stream(text) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": text}


def shown(**data) -> dict:
    return {"output_type": "display_data", "data": {name.replace("_", "/"): value for name, value in data.items()}}


def files_of(texts: dict[str, str], **columns) -> pl.DataFrame:
    return new_files([{"path": path, "origin": "git", "text": text} | columns for path, text in texts.items()])


def output_of(*outputs: dict) -> str:
    return read_notebook(notebook(code("x", *outputs))).cells[0].output


def test_a_notebook_becomes_text_code_and_output_in_its_order():
    text = notebook(markdown("# Sums"), code("1 + 1", shown(text_plain="2")), markdown("Done."), code("pass"))
    files = structure_notebooks(files_of({"a.ipynb": text}))
    assert files.select("text", "language", "category", "removed_by").rows() == [
        (
            "<jupyter_start><jupyter_text># Sums<jupyter_code>1 + 1<jupyter_output>2"
            "<jupyter_text>Done.<jupyter_code>pass<jupyter_output><empty_output>",
            "jupyter notebook",
            "code",
            None,
        )
    ]
    assert files["n_bytes"].to_list() == [len(text)]


def test_cells_of_one_kind_are_one_block_with_the_output_of_the_last():
    cells = [Cell("markdown", "a"), Cell("markdown", "b"), Cell("code", "x = 1", "old"), Cell("code", "x", "1")]
    assert triplets(cells) == [Triplet("a\n\nb", "x = 1\nx", "1")]


def test_code_before_the_first_and_markdown_after_the_last_pair_are_kept():
    cells = [Cell("code", "x"), Cell("markdown", "a"), Cell("code", "y", "1"), Cell("markdown", "end")]
    parts = triplets(cells)
    assert parts == [Triplet("", "x", ""), Triplet("a", "y", "1"), Triplet("end", "", "")]
    assert structured(parts) == (
        "<jupyter_start><jupyter_code>x<jupyter_output><empty_output>"
        "<jupyter_text>a<jupyter_code>y<jupyter_output>1<jupyter_text>end"
    )


def test_an_indent_of_the_first_line_of_code_is_kept():
    assert "<jupyter_code>  x\n  y<jupyter_output>" in structured([Triplet("", "\n  x\n  y\n", "")])


@pytest.mark.parametrize("side", ["markdown", "code", "output"])
@pytest.mark.parametrize("marker", ["<jupyter_start>", "<jupyter_text>", "<jupyter_code>", "<jupyter_output>"])
def test_no_text_can_pretend_to_be_structure(side, marker):
    honest = {"markdown": "m", "code": "c", "output": "o"}
    text = structured([Triplet(**(honest | {side: f"a{marker}b<empty_output>"}))])
    assert text.count(marker) == 1
    assert f"a{marker.replace('_', '-')}b<empty-output>" in text


@pytest.mark.parametrize("hidden", ["<jupyter_\x1b[0mtext>", "<jupyter_\0text>", "<jupyter_te\x1b]0;t\x07xt>"])
def test_a_marker_hidden_behind_what_is_cut_out_is_broken_too(hidden):
    files = structure_notebooks(files_of({"a.ipynb": notebook(code("x", stream(hidden)))}))
    assert files["text"][0] == ("<jupyter_start><jupyter_code>x<jupyter_output><jupyter-text>")


PIECES = st.text(alphabet="<>_jupyter_text code\x1b[0m\r\n", max_size=40) | st.just("<jupyter_code>")


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["markdown", "code"]), PIECES, PIECES), max_size=6))
def test_the_structure_can_be_read_back_from_the_text(drawn):
    cells = [Cell(kind, source, output if kind == "code" else "") for kind, source, output in drawn if source.strip()]
    text = structured(triplets(cells))
    pairs = triplets(cells)
    assert text.count("<jupyter_text>") == sum(bool(pair.markdown) for pair in pairs)
    assert text.count("<jupyter_code>") == text.count("<jupyter_output>") == sum(bool(pair.code) for pair in pairs)
    assert text.count("<jupyter_start>") == 1


def test_streams_are_joined_as_they_come_and_results_begin_a_line():
    assert output_of(stream("a"), stream(["b\n", "c"]), shown(text_plain="d"), stream("\n")) == "ab\nc\nd"


def test_colours_and_overwritten_progress_bars_go_from_outputs():
    assert output_of(stream("\x1b[31mred\x1b[0m\n10%\r50%\r100%\r\nend\r\n")) == "red\n100%\nend"


def test_a_traceback_is_text_without_colours():
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[0;31mE\x1b[0m", "line 1"]}
    assert output_of(error) == "E\nline 1"
    assert output_of(error | {"traceback": []}) == "E: v"


def test_a_long_output_is_cut_after_a_thousand_characters():
    assert output_of(stream("é" * 1_000)) == "é" * 1_000
    assert output_of(stream("é" * 1_001)) == "é" * 1_000 + "[...]"


def test_what_is_not_text_is_dropped_and_counted_and_its_plain_form_kept_where_it_says_something():
    read = read_notebook(
        notebook(
            code(
                "a",
                shown(text_html="<table>", text_plain="  x\n0 1"),
                shown(text_plain="<Figure with 1 Axes>", image_png="iVBO"),
            ),
            markdown("m"),
            code("b", stream("1")),
            code(
                "c", shown(**{"application_vnd.jupyter.widget-view+json": {}, "text_latex": "$x$"}), stream("y" * 2_000)
            ),
            {"cell_type": "raw", "source": "r"},
        )
    )
    assert [cell.output for cell in read.cells if cell.kind == "code"][:2] == ["x\n0 1", "1"]
    assert read.dropped == {
        **{"html": 1, "image": 1, "other rich output": 1, "end of a long output": 1, "raw cell": 1},
        **{"output before the last of a block": 1},
    }


def test_the_language_is_the_metadatas():
    assert read_notebook(notebook(code("x"), language_info={"name": "R"})).language == "r"
    assert read_notebook(notebook(code("x"), kernelspec={"language": "julia", "name": "j"})).language == "julia"
    assert read_notebook(notebook(code("x"))).language is None


def test_formats_two_and_three_are_read_as_nbformat_upgrades_them():
    for old, name_of_error in ((v2, "etype"), (v3, "ename")):
        streams = [
            old.new_output("stream", "1\n"),
            old.new_output("pyout", "2"),
            old.new_output("pyerr", evalue="v", **{name_of_error: "E"}),
        ]
        cells = [
            old.new_text_cell("markdown", "# A\ntext"),
            old.new_code_cell("a = 1\na", outputs=streams),
            old.new_code_cell("plot()", outputs=[old.new_output("display_data", "<Figure>") | {"png": "iVBO"}]),
        ]
        if old is v3:
            cells.append(old.new_heading_cell("Two", level=2))
        document = old.new_notebook(worksheets=[old.new_worksheet(cells=cells)])
        text = old.writes_json(document)
        upgraded = nbformat.reads(text, as_version=4)
        read = read_notebook(text)
        assert [(cell.kind, cell.source) for cell in read.cells] == [(c.cell_type, c.source) for c in upgraded.cells]
        assert [cell.output for cell in read.cells[1:3]] == ["1\n2\nE: v", ""]
        assert read.dropped == {"image": 1, "output before the last of a block": 1}
        assert read.language == "python"


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["code", "markdown", "raw"]), st.text(alphabet="ab \n#é", max_size=12)), max_size=8
    )
)
def test_cells_are_those_that_nbformat_reads(drawn):
    make = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell, "raw": v4.new_raw_cell}
    document = v4.new_notebook(cells=[make[kind](source) for kind, source in drawn])
    # Written with sources as lists of lines, as notebooks on disk have them.
    text = nbformat.writes(document)
    expected = [(kind, source) for kind, source in drawn if kind != "raw" and source.strip()]
    assert [(cell.kind, cell.source) for cell in read_notebook(text).cells] == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "broken"),
        ("{", "broken"),
        ("<html>", "broken"),
        ("[]", "broken"),
        ("{}", "broken"),
        ('{"cells": {}}', "broken"),
        ('{"worksheets": 1}', "broken"),
        ("[" * 1_000_000, "broken"),
        ('{"cells": ' + "[" * 65 + "]" * 65 + "}", "broken"),
        ('{"cells": [' + "9" * 5_000 + "]}", "broken"),
        ('"' + '\\"' * 1_000_000 + "[{" * 50 + "\\", "broken"),
        ('{"cells": []}', "empty"),
        ('{"worksheets": []}', "empty"),
        ('{"cells": [1, null, {}, {"cell_type": []}, {"cell_type": "code", "source": " \\n"}]}', "empty"),
        ('{"cells": [{"cell_type": "raw", "source": "x"}]}', "empty"),
    ],
)
def test_what_is_no_notebook_or_says_nothing_is_removed_with_its_reason(text, reason):
    files = structure_notebooks(files_of({"a.ipynb": text}))
    assert files.select("text", "removed_by", "measured").rows() == [(text, f"preprocess.{reason}_notebook", None)]
    assert files["category"].to_list() == [None]


@pytest.mark.parametrize(
    "cell",
    [
        {"cell_type": "code", "source": "x", "outputs": 3},
        {"cell_type": "code", "source": "x", "outputs": [3, {}, {"output_type": "error", "traceback": 4}]},
        {"cell_type": "code", "source": ["x", 3, None], "outputs": [{"output_type": "stream", "text": {}}]},
        {"cell_type": "code", "input": "x", "outputs": [{"output_type": "display_data", "data": []}]},
        {"cell_type": "heading", "source": "x", "level": 2.0},
        {"cell_type": "code", "source": "x\0", "outputs": [{"output_type": "stream", "text": "\ud800"}]},
    ],
)
def test_odd_values_inside_a_notebook_are_passed_over(cell):
    files = structure_notebooks(files_of({"a.ipynb": notebook(cell)}))
    assert files["removed_by"].to_list() == [None]
    assert "x" in files["text"][0]
    assert "\0" not in files["text"][0]


def test_a_byte_order_mark_is_no_fault():
    assert read_notebook("\ufeff" + notebook(code("x"))).cells == [Cell("code", "x")]


def test_an_error_names_what_is_wrong():
    with pytest.raises(InputError, match="not JSON"):
        read_notebook("x")
    with pytest.raises(InputError, match="nested 70 deep, at most 64"):
        read_notebook("[" * 70 + "]" * 70)


def test_only_notebooks_that_are_still_in_and_not_too_large_are_touched():
    text = notebook(code("x"))
    files = pl.concat(
        [
            files_of({"a.py": text, "b.ipynb.json": text, "c.IPYNB": text}),
            files_of({"d.ipynb": text}, removed_by="exact.duplicate"),
            files_of({"e.ipynb": text}, n_bytes=9_000_000),
        ]
    )
    assert structure_notebooks(files).equals(files)
    assert keep_source_files(structure_notebooks(files))["removed_by"].to_list()[-1] == "preprocess.too_large"


def test_preprocessing_keeps_a_structured_notebook_and_excludes_any_other():
    files = files_of({"a.ipynb": notebook(code("x"))})
    assert keep_source_files(files)["removed_by"].to_list() == ["preprocess.excluded_type"]
    kept = keep_source_files(structure_notebooks(files))
    assert kept.select("removed_by", "category").rows() == [(None, "code")]


def test_a_second_pass_changes_nothing_and_the_marker_alone_makes_no_notebook():
    once = structure_notebooks(
        files_of({"a.ipynb": notebook(code("x")), "forged.ipynb": "<jupyter_start><jupyter_code>x"})
    )
    assert once["removed_by"].to_list() == [None, "preprocess.broken_notebook"]
    assert structure_notebooks(once).equals(once)


NOTEBOOKS = [
    "",
    "{",
    '{"cells": []}',
    notebook(markdown("a"), code("x")),
    notebook(code("<jupyter_text>", stream("\ud800"))),
]


@settings(deadline=None)
@given(file_frames())
def test_structuring_notebooks_keeps_the_stage_contract(files):
    has_text = files["text"].is_not_null()
    texts = [NOTEBOOKS[at % 5] if there else None for at, there in zip(files["extra"], has_text, strict=True)]
    paths = [f"{at}.ipynb" if at % 2 else path for at, path in files.select("extra", "path").rows()]
    files = files.with_columns(text=pl.Series(texts, dtype=pl.String), path=pl.Series(paths, dtype=pl.String))
    assert_stage_contract(structure_notebooks, files, transforms_text=True)


def test_what_notebooks_hold_and_lose_is_counted_by_language():
    good = notebook(markdown("a"), code("x", shown(image_png="i")), code("y", stream("1")), language_info={"name": "r"})
    counts = count_notebooks(files_of({"a.ipynb": good, "b.ipynb": "{", "c.py": good}))
    assert counts.rows() == [
        ("r", "code cell", True, 2),
        ("r", "code cell with output", True, 1),
        ("r", "markdown cell", True, 1),
        ("r", "notebook", True, 1),
        ("r", "image", False, 1),
        (None, "broken notebook", False, 1),
    ]
    assert count_notebooks(files_of({"c.py": good})).is_empty()
