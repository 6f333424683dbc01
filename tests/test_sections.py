"""Sections of a report: what a table of numbers says, that names stay text, and that one look serves both pages."""

import re
from html.parser import HTMLParser
from importlib.resources import files as package_files

import polars as pl
import pytest
from reports import HOSTILE, hostile_report, whole_report

from opencoder_lib import sections
from opencoder_lib.cells import Unit, flat, percent, said, size, unit_of
from opencoder_lib.errors import SchemaError
from opencoder_lib.files import funnel, new_files
from opencoder_lib.plots.style import CATEGORY_COLOUR, STAGE_COLOUR
from opencoder_lib.sections import frame_of

MAY_OCCUR = {"div", "table", "caption", "span", "thead", "tbody", "tr", "th", "td", "svg", "rect", "p", "wbr"}


class Seen(HTMLParser):
    """What a browser makes of a piece of HTML: tags with attributes, and each table as rows of cells."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[list[str]]] = []
        self.captions: list[str] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("rect", "wbr"):
            self._inside.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("th", "td"):
            self.tables[-1][-1].append("")
        if tag == "caption":
            self.captions.append("")

    def handle_endtag(self, tag):
        if tag not in ("rect", "wbr"):
            assert self._inside.pop() == tag

    def handle_data(self, data):
        data = data.replace("\xa0", " ")
        self.text += data
        if {"th", "td"} & set(self._inside):
            self.tables[-1][-1][-1] += data
        if "caption" in self._inside:
            self.captions[-1] += data

    def all_of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def rows_of(html: str) -> dict[str, list[str]]:
    """The cells of the first table, by what names the row."""
    return {row[0]: [cell.strip() for cell in row[1:]] for row in Seen(html).tables[0][1:]}


def bars_of(html: str) -> list[list[float]]:
    """The widths of the rectangles of each bar, its frame left out."""
    found: list[list[float]] = []
    for tag, attributes in Seen(html).tags:
        if tag == "svg":
            found.append([])
        if tag == "rect" and attributes["fill"] != "none":
            found[-1].append(float(attributes["width"]))
    return found


def of(name: str, key: str = "") -> pl.DataFrame:
    return frame_of(name, whole_report()[key or name])


def removed() -> pl.DataFrame:
    return frame_of("rules", [{"reason": name, **entry} for name, entry in whole_report()["removed_by"].items()])


# What they say


def test_the_funnel_says_what_each_stage_left_and_took():
    found = rows_of(sections.funnel(of("funnel")))
    assert found["read"] == ["100.0 %", "40.0", "-", "-", "1,000", "-", "-"]
    assert found["exact"] == ["42.5 %", "17.0", "3.0", "15.0 %", "600", "300", "33.3 %"]
    assert found["transform"] == ["38.8 %", "15.5", "0.5", "3.1 %", "550", "0", "0.0 %"]
    assert found["sample"] == ["20.0 %", "8.0", "5.0", "38.5 %", "400", "50", "11.1 %"]
    caption = Seen(sections.funnel(of("funnel"))).captions[0]
    assert caption.startswith("400 of 1,000 files left (40.0 %), 8.00 MB of 40.0 MB (20.0 %).")
    assert "A transform removes no file" in caption


def test_bars_start_at_zero_and_stand_for_all_that_was_read():
    # 96 pixels are 40 MB: before exact 20 MB, after it 17; after preprocessing 20 of 40.
    bars = bars_of(sections.funnel(of("funnel")))
    assert bars[0] == [96.0]
    assert bars[1] == [96.0, 48.0]
    assert bars[2] == [48.0, 40.8]


def test_the_funnel_of_a_chapter_is_the_same_section():
    row = {"origin": "installed", "text": "x" * 1000}
    frame = new_files([row | {"path": "a.py"}, row | {"path": "b.py", "removed_by": "exact.duplicate"}])
    found = rows_of(sections.funnel(funnel(frame, ["preprocess", "exact"])))
    assert found["exact"] == ["50.0 %", "1.00", "1.00", "50.0 %", "1", "1", "50.0 %"]
    assert "transform" not in sections.funnel(funnel(frame, ["preprocess", "exact"]))


def test_languages_are_compared_before_and_after():
    html = sections.composition(of("composition", "languages"))
    found = rows_of(html)
    # Largest first of what was kept; equal ones by what was read.
    assert list(found) == ["python", "java", "html", "unknown"]
    assert found["java"] == ["code", "25.0 %", "2.0", "150", "9.0", "22.5 %", "300"]
    assert found["unknown"] == ["unknown", "0.0 %", "0", "0", "20.0", "50.0 %", "100"]
    assert "4 languages read, 3 kept, led by python with 50.0 % of the bytes." in Seen(html).captions[0]


def test_what_is_not_among_the_first_is_summed_up():
    rows = [
        {"language": f"l{at}", "category": "code", "files_read": 2, "bytes_read": 10, "files_kept": 1, "bytes_kept": at}
        for at in range(1, 6)
    ]
    found = rows_of(sections.composition(frame_of("composition", rows), n=3))
    assert list(found) == ["l5", "l4", "l3", "2 further languages"]
    assert found["2 further languages"] == ["-", "20.0 %", "3", "2", "20", "40.0 %", "4"]
    # One row alone is no sum.
    assert list(rows_of(sections.composition(frame_of("composition", rows), n=4))) == ["l5", "l4", "l3", "l2", "l1"]


def test_reasons_stand_stage_by_stage_in_the_order_of_the_stages():
    html = sections.rules(removed())
    found = rows_of(html)
    assert list(found) == [
        *("preprocess.binary", "preprocess.too_large", "exact.duplicate", "fuzzy.near_duplicate"),
        *("filter.python.mostly_pass", "filter.code.few_words", "sample.over_budget"),
    ]
    assert found["filter.python.mostly_pass"] == ["80", "80.0 %", "2.0", "80.0 %"]
    assert "600 files of 31.5 MB went for 7 reasons: preprocess 100, exact 300, fuzzy 50" in Seen(html).captions[0]


def test_the_rest_of_the_reasons_is_summed_up_within_its_stage():
    rows = [{"reason": f"filter.r{at}", "files": at, "bytes": 10 * at} for at in range(1, 5)]
    rows.append({"reason": "review.private", "files": 7, "bytes": 70})
    found = rows_of(sections.rules(frame_of("rules", rows), n=2))
    # What another hand had removed before comes before the first stage.
    assert list(found) == ["review.private", "filter.r4", "filter.r3", "2 further reasons of filter"]
    assert found["2 further reasons of filter"] == ["3", "30.0 %", "30", "30.0 %"]


def test_duplicates_say_how_many_groups_there_are_of_which_size():
    seen = Seen(sections.dedup(of("dedup")))
    assert seen.tables[0][1:] == [["exact", "40", "300", "90"], ["fuzzy", "45", "50", "3"]]
    assert [[cell.strip() for cell in row] for row in seen.tables[1][1:]] == [
        ["2", "30", "75.0 %"],
        ["3-4", "8", "20.0 %"],
        ["65-128", "2", "5.0 %"],
    ]
    assert seen.captions[0].startswith("exact: 300 files gone from 40 groups; fuzzy: 50 files gone from 45 groups.")


def test_changes_of_text_may_make_a_text_longer():
    found = Seen(sections.transforms(of("transforms")))
    assert [[cell.strip() for cell in row] for row in found.tables[0][1:]] == [
        ["copyright", "notice", "120", "100.0 %", "125", "500.1"],
        ["personal data", "email", "30", "25.0 %", "60", "-0.1"],
    ]
    assert "Cut or replaced: 185 places in texts, 500.0 kB less in all." in found.captions[0]


def test_licences_name_what_is_permissive_and_what_is_not_known():
    html = sections.licences(of("licences"))
    found = rows_of(html)
    assert found["MIT"] == ["yes", "62.5 %", "5.0", "250", "20.0", "50.0 %", "600"]
    assert found["no licence known"][:2] == ["no", "12.5 %"]
    assert "62.5 % of 400 kept files under a permissive licence; for 12.5 % none is known." in Seen(html).captions[0]


def test_a_budget_larger_than_its_language_says_so():
    found = rows_of(sections.sampling(of("sampling")))
    assert found["java"] == ["2.00", "200", "150", "7.00", "2.00", "28.6 %"]
    assert found["html"][0] == "90.00 (not reached)"
    free = [{**whole_report()["sampling"][0], "budget": None}]
    assert rows_of(sections.sampling(frame_of("sampling", free)))["java"][0] == "none"


def test_passes_stand_in_the_order_they_run_in():
    found = rows_of(sections.timings({"write": 3.0, "unheard_of": 0.5, "read": 1.0, "exact": 0.5}))
    assert list(found) == ["read", "exact", "write", "unheard_of"]
    assert found["write"][1:] == ["3.0", "60.0 %"]


def test_settings_are_named_by_their_place():
    seen = Seen(sections.settings(whole_report()["about"]))
    parameters = dict(row for row in seen.tables[0][1:])
    assert parameters["minhash.bands"] == "16"
    # What the run was told comes before where its tables keep what.
    assert next(iter(parameters)) == "against"
    assert list(parameters)[-4:] == ["columns.doc_id", "columns.path", "columns.repo", "columns.text"]
    assert parameters["minhash.verify"] == "none"
    assert parameters["budgets.java"] == "2,000,000"
    assert parameters["stages"] == "preprocess, exact, fuzzy, transform, filter, sample"
    assert dict(seen.tables[1][1:])["library_sha256"] == "c" * 64
    assert seen.tables[2][1:] == [["polars", "2.1.0"], ["python", "3.11.7"]]


# Names are data

SECTIONS = {
    "funnel": ("funnel", sections.funnel),
    "composition": ("languages", sections.composition),
    "dedup": ("dedup", sections.dedup),
    "transforms": ("transforms", sections.transforms),
    "licences": ("licences", sections.licences),
    "sampling": ("sampling", sections.sampling),
}


def hostile_sections() -> dict[str, str]:
    report = hostile_report()
    found = {name: show(frame_of(name, report[key])) for name, (key, show) in SECTIONS.items()}
    rules = [{"reason": name, **entry} for name, entry in report["removed_by"].items()]
    return found | {
        "rules": sections.rules(frame_of("rules", rules)),
        "timings": sections.timings(report["seconds_by_pass"]),
        "settings": sections.settings(report["about"]),
        "counted": sections.counted(HOSTILE, HOSTILE, (HOSTILE, HOSTILE), report["notes"]),
    }


@pytest.mark.parametrize("name", [*SECTIONS, "rules", "timings", "settings", "counted"])
def test_a_name_stays_text_whatever_it_holds(name):
    html = hostile_sections()[name]
    seen = Seen(html)
    assert {tag for tag, _ in seen.tags} <= MAY_OCCUR
    assert '<script>alert("x")</script> | `a` & *b*' in seen.text
    assert "\x1b" not in html


def test_a_name_that_is_no_unicode_can_be_written():
    html = sections.counted("Notes", "", ("Note", "How many"), {"a\udcff": 1})
    assert "a\\udcff" in html.encode().decode()


def test_counts_after_the_first_are_summed_up():
    counts = {f"n{at:02d}": at for at in range(1, 25)}
    found = rows_of(sections.counted("Notes", "24 notes.", ("Note", "How many"), counts, n=2))
    assert found == {"n24": ["24"], "n23": ["23"], "22 further ones": [str(sum(range(1, 23)))]}


# Tables are for everybody


@pytest.mark.parametrize("name", [*SECTIONS])
def test_every_table_has_a_caption_scopes_and_can_be_scrolled_by_keyboard(name):
    key, show = SECTIONS[name]
    seen = Seen(show(frame_of(name, whole_report()[key])))
    assert len(seen.all_of("table")) == len(seen.captions) == len(seen.all_of("div"))
    assert all(caption.endswith(".") for caption in seen.captions)
    assert all(div["role"] == "region" and div["tabindex"] == "0" and div["aria-label"] for div in seen.all_of("div"))
    assert all(th["scope"] in ("col", "row") for th in seen.all_of("th"))
    for table in seen.tables:
        assert {len(row) for row in table} == {len(table[0])}
        assert all(cell.strip() for row in table for cell in row)


def test_a_bar_only_repeats_a_number_and_so_is_not_read_out():
    seen = Seen(sections.funnel(of("funnel")))
    assert len(seen.all_of("svg")) == 7
    assert all(svg["aria-hidden"] == "true" for svg in seen.all_of("svg"))


@pytest.mark.parametrize("name", [*SECTIONS])
def test_an_empty_frame_gives_a_sentence(name):
    html = SECTIONS[name][1](frame_of(name, []))
    assert "<table" not in html
    assert Seen(html).text.endswith(".")


def test_nothing_else_gives_a_sentence_too():
    for html in (sections.rules(frame_of("rules", None)), sections.timings({}), sections.settings({})):
        assert "<table" not in html
        assert Seen(html).text.endswith(".")


def test_groups_that_are_all_empty_are_no_duplicates():
    row = {"stage": "exact", "groups": 0, "files": 0, "largest": 0, "sizes": []}
    assert "<table" not in sections.dedup(frame_of("dedup", [row]))


def test_a_frame_without_a_column_is_an_error_that_names_it():
    with pytest.raises(SchemaError, match=r"'sampling' needs the column 'budget'; the frame has \['language'\]"):
        sections.sampling(pl.DataFrame({"language": ["java"]}))


def test_rows_of_an_older_report_lack_columns_and_are_shown():
    row = {"language": "python", "files_read": 1, "bytes_read": 5, "files_kept": 1, "bytes_kept": 5}
    assert rows_of(sections.composition(frame_of("composition", [row])))["python"][0] == "-"


# One look


def test_stages_have_the_colours_of_the_plots():
    assert sections.STAGE_COLOUR == STAGE_COLOUR
    assert sections.CATEGORY_COLOUR == CATEGORY_COLOUR


def test_every_class_of_a_section_has_its_rules():
    rules = (package_files("opencoder_lib") / "sections.css").read_text()
    shown = sections.funnel(frame_of("funnel", whole_report()["funnel"])) + sections.rules(frame_of("rules", []))
    ours = {name for found in re.findall(r'class="([^"]*)"', shown) for name in found.split()}
    ours -= {"cookbook-table", "number"}
    assert ours == {"cookbook-section", "cookbook-bar", "cookbook-nothing"}
    assert all(f".{name}" in rules for name in ours)


# Numbers in words


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, "-"),
        (0, 7, "0.0 %"),
        (7, 7, "100.0 %"),
        (1, 3, "33.3 %"),
        (1, 100_000, "<0.1 %"),
        (99_999, 100_000, ">99.9 %"),
    ],
)
def test_a_share_is_never_nothing_or_all_unless_it_is(part, whole, shown):
    assert percent(part, whole) == shown


@pytest.mark.parametrize(
    ("n_bytes", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.00 kB"),
        (9_999, "10.00 kB"),
        (10_000, "10.0 kB"),
        (8_000_000, "8.00 MB"),
        (1_234_567_890_123, "1.23 TB"),
        (5 * 10**18, "5,000.0 PB"),
        (-1500, "-1.50 kB"),
    ],
)
def test_sizes_in_sentences(n_bytes, shown):
    assert size(n_bytes) == shown


def test_a_column_of_sizes_has_one_unit_and_no_false_zero():
    unit = unit_of(40_000_000)
    assert unit == Unit("MB", 1_000_000, 1)
    assert [unit.cell(n) for n in (40_000_000, 49_999, 50_000, 0, None, -49_999)] == [
        *("40.0", "<0.1", "0.1", "0", "-", "-<0.1")
    ]


def test_settings_flatten_to_names_and_lists_stay_whole():
    assert flat({"a": {"b": {"c": 1}, "d": [1, 2]}, "e": {}, "f": None}) == {
        "a.b.c": 1,
        "a.d": [1, 2],
        "e": {},
        "f": None,
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((None, "none"), ([], "none"), ({}, "none"), (True, "yes"), (False, "no"), (0, "0"), (0.0, "0.0")),
        *((12345, "12,345"), ("", ""), ([1, [2, None]], "1, 2, none"), ([{"b": 1}], '{"b": 1}')),
        (list(range(23)), f"{', '.join(map(str, range(20)))}, and 3 more"),
    ],
)
def test_values_in_words(value, shown):
    assert said(value) == shown
