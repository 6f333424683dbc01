"""From licence files to files under a licence: evidence, one licence a folder, what a file inherits, what stays."""

import polars as pl
import pytest
from hypothesis import given, settings
from identify.vendor.licenses import LICENSES
from stage_contract import assert_stage_contract, file_frames

from opencoder_lib.files import new_files
from opencoder_lib.refine.licences import count_licences, evidence, keep_permissive, settle, with_licences

TEXT = {name: f"Copyright (c) 2020 Somebody\n\n{text}" for name, text in LICENSES}
MIT, APACHE, GPL = TEXT["MIT"], TEXT["Apache-2.0"], TEXT["GPL-3.0"]
ACME = (
    "You may look at this program on Tuesdays, as long as nobody else does. All of it belongs to us and to us only. "
    * 3
)


def corpus(texts: dict[str, str], repo: str | None = "r", **columns) -> pl.DataFrame:
    return new_files([{"path": p, "repo": repo, "origin": "git", "text": t, **columns} for p, t in texts.items()])


def licence_of_folders(texts: dict[str, str]) -> dict[str, str | None]:
    settled = settle(evidence(corpus(texts)))
    return dict(zip(settled["folder"], settled["license"], strict=True))


def licence_of_files(texts: dict[str, str]) -> dict[str, str | None]:
    files = corpus(texts)
    files = with_licences(files, settle(evidence(files)))
    return dict(zip(files["path"], files["license"], strict=True))


@pytest.mark.parametrize(
    "name",
    [
        "LICENSE",
        "LICENCE.txt",
        "license.md",
        "COPYING",
        "COPYING.LESSER",
        "UNLICENSE",
        "LICENSE-MIT",
        "MIT-LICENSE.txt",
        "Licenses",
        "LICENSES/MIT.txt",
    ],
)
def test_licence_files_are_found_by_their_names(name):
    assert licence_of_folders({name: MIT}) == {"": "MIT"}


@pytest.mark.parametrize(
    "name",
    [
        "NOTICE",
        "license.py",
        "licenses.json",
        "LICENSE-third-party.txt",
        "licence_check.c",
        "main.js.LICENSE.txt",
        "LICENSE-docs",
        "LICENSE-CC-BY-4.0",
        "my_license",
        "relicense.md",
    ],
)
def test_code_and_files_about_parts_or_prose_are_no_licence_files(name):
    assert evidence(corpus({name: MIT})).is_empty()


def test_removed_files_speak_and_those_without_a_repository_or_with_a_licence_do_not():
    removed = corpus({"LICENSE": MIT}, removed_by="preprocess.unknown_type")
    assert evidence(removed).rows() == [("r", "", "MIT", "LICENSE", "licence file")]
    assert evidence(corpus({"LICENSE": MIT}, repo=None)).is_empty()
    assert evidence(corpus({"LICENSE": MIT}, license="Apache-2.0")).is_empty()
    assert evidence(corpus({"a.py": MIT}).clear()).is_empty()


def test_a_licence_file_beats_a_manifest_and_a_manifest_a_folder_of_licences():
    package = '{"license": "ISC"}'
    assert licence_of_folders({"LICENSE": MIT, "package.json": package, "LICENSES/Apache-2.0.txt": "x"}) == {"": "MIT"}
    assert licence_of_folders({"package.json": package, "LICENSES/Apache-2.0.txt": "x"}) == {"": "ISC"}
    assert licence_of_folders({"LICENSES/Apache-2.0.txt": "x", "LICENSES/MIT.txt": "x"}) == {"": "Apache-2.0 AND MIT"}


def test_several_licence_files_hold_together():
    assert licence_of_folders({"LICENSE": MIT, "COPYING": GPL}) == {"": "GPL-3.0-only AND MIT"}


def test_files_named_after_their_licences_are_there_to_choose_from():
    assert licence_of_folders({"LICENSE-MIT": MIT, "LICENSE-APACHE": APACHE}) == {"": "Apache-2.0 OR MIT"}
    either = (
        "This software is made available under the terms of *either* of the licenses found in the files beside it. "
    )
    assert licence_of_folders({"LICENSE": either * 2, "LICENSE.MIT": MIT, "LICENSE.APACHE": APACHE}) == {
        "": "Apache-2.0 OR MIT"
    }


def test_files_named_after_their_licences_beside_a_plain_one_hold_as_well():
    assert licence_of_folders({"LICENSE": MIT, "LICENSE.APACHE": APACHE}) == {"": "Apache-2.0 AND MIT"}
    three = {"LICENSE": GPL, "LICENSE-MIT": MIT, "LICENSE-APACHE": APACHE}
    assert licence_of_folders(three) == {"": "Apache-2.0 AND GPL-3.0-only AND MIT"}


def test_a_link_to_a_licence_elsewhere_says_nothing_and_a_licence_nobody_knows_does():
    assert licence_of_folders({"LICENSE": "../LICENSE"}) == {}
    assert licence_of_folders({"LICENSE": ACME}) == {"": None}
    assert licence_of_folders({"package.json": '{"license": "Acme-1.0"}'}) == {"": None}
    assert licence_of_folders({"package.json": "{broken"}) == {}


def test_a_file_is_under_the_licence_of_the_nearest_folder_that_has_one():
    assert licence_of_files(
        {
            "LICENSE": MIT,
            "a.py": "",
            "deep/er/b.py": "",
            "vendor/x/COPYING": GPL,
            "vendor/x/src/c.c": "",
            "vendor/d.c": "",
        }
    ) == {
        **{"LICENSE": "MIT", "a.py": "MIT", "deep/er/b.py": "MIT", "vendor/d.c": "MIT"},
        **{"vendor/x/COPYING": "GPL-3.0-only", "vendor/x/src/c.c": "GPL-3.0-only"},
    }


def test_a_folder_whose_licence_nobody_knows_inherits_none():
    found = licence_of_files({"LICENSE": MIT, "vendor/LICENSE": ACME, "vendor/a.c": "", "b.c": ""})
    assert (found["vendor/a.c"], found["b.c"]) == (None, "MIT")


def test_a_header_beats_the_folder_and_one_nobody_knows_is_told_as_it_stands():
    found = licence_of_files(
        {
            "LICENSE": MIT,
            "gpl.c": "// SPDX-License-Identifier: GPL-2.0\n",
            "own.c": "// SPDX-License-Identifier: LicenseRef-Acme\n",
            "plain.c": "",
        }
    )
    assert found == {"LICENSE": "MIT", "gpl.c": "GPL-2.0-only", "own.c": "LicenseRef-Acme", "plain.c": "MIT"}


def test_given_licences_and_removed_rows_are_untouched_and_folders_speak_in_their_own_repository_only():
    settled = pl.DataFrame({"repo": ["r"], "folder": [""], "license": ["MIT"]})
    rows = [
        {"path": "given.py", "repo": "r", "license": "apache 2"},
        {"path": "gone.py", "repo": "r", "removed_by": "preprocess.binary"},
        {"path": "other.py", "repo": "s"},
        {"path": "none.py", "repo": None},
        {"path": "here.py", "repo": "r"},
        {"path": "a\nb/c.py", "repo": "r"},
    ]
    files = new_files([{"origin": "git", "text": "", "extra": 1} | row for row in rows])
    told = with_licences(files, settled)
    assert told["license"].to_list() == ["apache 2", None, None, None, "MIT", "MIT"]
    assert told.drop("license").equals(files.drop("license"))
    assert with_licences(told, settled).equals(told)


def test_shards_and_their_order_do_not_matter():
    texts = {"LICENSE-MIT": MIT, "LICENSE-APACHE": APACHE, "sub/COPYING": GPL, "sub/a.c": "", "b/c/d.py": ""}
    files = corpus(texts)
    found = [evidence(files[[row]]) for row in (4, 2, 0, 3, 1)]
    settled = settle(pl.concat(found))
    assert settled.equals(settle(evidence(files)))
    assert settled.equals(settle(pl.concat([*found, *found])))
    shards = [with_licences(files[[row]], settled) for row in range(len(texts))]
    assert pl.concat(shards).equals(with_licences(files, settled))


def test_a_path_of_two_thousand_folders_finds_the_licence_at_its_top():
    files = corpus({"a/" * 2_000 + "x.py": ""})
    settled = pl.DataFrame({"repo": ["r"], "folder": [""], "license": ["MIT"]})
    assert with_licences(files, settled)["license"].to_list() == ["MIT"]


def test_only_permissive_files_stay_and_the_rest_says_why_not():
    licences = ["MIT", "apache license 2.0", "MIT OR GPL-3.0", "GPL-3.0", "Acme-1.0", "", None, "UNLICENSED"]
    rows = [{"path": f"{at}.py", "license": name, "text": ""} for at, name in enumerate(licences)]
    kept = keep_permissive(new_files([row | {"origin": "git"} for row in rows]))
    other, unknown = "preprocess.licence_not_permissive", "preprocess.licence_unknown"
    assert kept["removed_by"].to_list() == [None, None, None, other, unknown, unknown, unknown, other]
    assert kept["license"].to_list() == licences


@settings(deadline=None)
@given(file_frames())
def test_keeping_permissive_files_keeps_the_stage_contract(files):
    # Licences of every kind, tied to the row, so that frames of any size have several.
    names = ["MIT", "GPL-3.0", None, "Acme-1.0", "BSD"]
    files = files.with_columns(license=pl.Series([names[at % 5] for at in files["extra"]], dtype=pl.String))
    assert_stage_contract(keep_permissive, files)


def test_licences_are_counted_with_their_bytes_and_the_same_after_the_stage():
    rows = [
        ("MIT", "abc", None),
        ("MIT", "d", None),
        ("GPL-3.0", "ef", None),
        (None, "", None),
        ("MIT", "x", "exact.duplicate"),
    ]
    files = new_files(
        [
            {"path": f"{at}.py", "origin": "git", "license": name, "text": text, "removed_by": gone}
            for at, (name, text, gone) in enumerate(rows)
        ]
    )
    counts = count_licences(files)
    assert counts.rows() == [("MIT", True, 2, 4), ("GPL-3.0", False, 1, 2), (None, None, 1, 0)]
    assert count_licences(keep_permissive(files)).equals(counts)
    assert count_licences(files.clear()).is_empty()
