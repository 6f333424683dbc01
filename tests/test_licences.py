"""Licences: what metadata, texts, manifests and headers say, and which are permissive."""

import json
import tomllib
from importlib.resources import files as package_files

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from identify.vendor.licenses import LICENSES

from opencoder_lib.licences import (
    header,
    is_permissive,
    joined,
    licence_of_header,
    licence_of_manifest,
    licence_of_text,
    permissive_ids,
    spdx,
    statement,
)

TEXTS = dict(LICENSES)
TABLE = tomllib.loads((package_files("opencoder_lib") / "licences.toml").read_text(encoding="utf-8"))
CURATED = tomllib.loads((package_files("opencoder_lib.corpora") / "installed.toml").read_text(encoding="utf-8"))
EXPRESSION_PARTS = [
    "MIT",
    "OR",
    "AND",
    "WITH",
    "(",
    ")",
    "Apache-2.0",
    "GPL-2.0+",
    "/",
    ",",
    "BSD",
    "foo",
    "or later",
    "é",
]


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("MIT", "MIT"),
        ("apache-2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("The MIT License (MIT)", "MIT"),
        ("BSD", "BSD-3-Clause"),
        ("GPLv3+", "GPL-3.0-or-later"),
        ("GNU GPL v2 or later", "GPL-2.0-or-later"),
        ("GPL (>= 2)", "GPL-2.0-or-later"),
        ("GPL-2.0", "GPL-2.0-only"),
        ("Apache-2.0+", "Apache-2.0"),
        ("License :: OSI Approved :: BSD License", "BSD-3-Clause"),
        ("License :: OSI Approved :: GNU General Public License v2 or later (GPLv2+)", "GPL-2.0-or-later"),
        ("MIT OR Apache-2.0", "Apache-2.0 OR MIT"),
        ("MIT/Apache-2.0", "Apache-2.0 OR MIT"),
        ("Apache 2 and MIT", "Apache-2.0 AND MIT"),
        ("MIT, BSD", "BSD-3-Clause AND MIT"),
        ("mit or mit", "MIT"),
        ("apache-2.0 with llvm-exception", "Apache-2.0 WITH LLVM-exception"),
        ("UNLICENSED", "LicenseRef-scancode-proprietary-license"),
        ("Unlicense", "Unlicense"),
    ],
)
def test_a_name_becomes_the_canonical_expression(said, means):
    assert spdx(said) == means


@pytest.mark.parametrize(
    "said",
    [
        *(None, "", " ", "UNKNOWN", "other", "NOASSERTION", "License :: OSI Approved", "LicenseRef-mine", "My Own"),
        *("MIT AND", "MIT WITH MIT", "((((", "MIT foo", "x" * 10_000, "SEE LICENSE IN LICENSE.md"),
    ],
)
def test_what_nobody_knows_is_null_and_not_permissive(said):
    assert spdx(said) is None
    assert not is_permissive(said)


@settings(deadline=None)
@given(st.lists(st.sampled_from(EXPRESSION_PARTS), max_size=30))
def test_any_words_are_read_without_an_error_and_a_canonical_expression_stays_as_it_is(words):
    found = spdx(" ".join(words))
    assert found is None or spdx(found) == found


@pytest.mark.parametrize(
    ("expression", "permissive"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND Apache-2.0", True),
        ("(MIT AND GPL-3.0-only) OR AGPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("MPL-2.0", False),
        ("LGPL-2.1-or-later", False),
        ("CC-BY-NC-4.0", False),
        ("JSON", False),
        ("BUSL-1.1", False),
        ("BSL-1.0", True),
        ("UNLICENSED", False),
        ("BSD", True),
    ],
)
def test_or_needs_one_permissive_side_and_needs_all_and_an_exception_follows_its_licence(expression, permissive):
    assert is_permissive(expression) is permissive


def test_every_id_of_the_table_is_the_one_that_the_library_gives_it():
    ids = [*TABLE["permissive"], *TABLE["names"], *TABLE["phrases"], *TABLE["conditions"]]
    assert [name for name in ids if spdx(name) != name] == []


# Rated permissive by the Blue Oak Council, limited copyleft or restricted in ScanCode's eyes: most ask for changes to
# be marked or renamed.
DISPUTED = {
    *("Artistic-1.0", "Artistic-1.0-Perl", "Artistic-1.0-cl8", "Artistic-2.0", "ClArtistic", "LPL-1.0", "LPL-1.02"),
    *("BSD-3-Clause-No-Nuclear-License-2014", "BSD-3-Clause-No-Nuclear-Warranty", "HPND-export-US", "LPPL-1.3c"),
    *("NASA-1.3", "NBPL-1.0", "OGTSL", "OLDAP-1.1", "OLDAP-1.2", "OLDAP-1.3", "OLDAP-1.4", "Qhull", "Ruby", "Vim"),
}


def test_a_second_list_calls_the_same_licences_permissive_but_for_those_known_to_be_disputed():
    path = package_files("license_expression") / "data" / "scancode-licensedb-index.json"
    entries = [entry for entry in json.loads(path.read_text()) if entry.get("spdx_license_key")]
    category = {entry["spdx_license_key"]: entry["category"] for entry in entries}
    assert {n for n in permissive_ids() if category[n] not in ("Permissive", "Public Domain")} == DISPUTED


def test_no_free_text_name_stands_for_two_licences():
    stated = [(name, spdx) for spdx, names in TABLE["names"].items() for name in names]
    assert [(name, means, spdx(name)) for name, means in stated if spdx(name) != spdx(means)] == []


def test_all_curated_licences_of_the_toy_corpus_are_permissive_but_for_one():
    parts = CURATED["part"].values()
    names = {*CURATED["whole"], *(part["license"] for part in parts)}
    names |= {name for part in parts for _, name in part.get("licences", ())}
    assert {name for name in names if not is_permissive(name)} == {"MPL-2.0"}


def test_several_licences_are_joined_into_one_expression_and_unknown_ones_passed_over():
    assert joined(["MIT OR Apache-2.0", "ISC", None, "My Own", "ISC"]) == "ISC AND (Apache-2.0 OR MIT)"
    assert joined(["MIT", "Apache-2.0"], "OR") == "Apache-2.0 OR MIT"
    assert joined([None, "My Own"]) is None


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_known_text_is_that_licence_whoever_holds_the_copyright(name):
    text = "The licence\n\nCopyright (c) 1999-2021 A. Person and others\n\n" + TEXTS[name].replace("\n", "\r\n")
    assert licence_of_text(text) == spdx(name)


@pytest.mark.parametrize("name", sorted(name for name in TEXTS if spdx(name) in TABLE["phrases"]))
def test_a_text_among_much_else_is_known_by_its_phrases_alone(name):
    around = "What follows came with one of the parts that this program is made of.\n" * (1 + len(TEXTS[name]) // 200)
    assert licence_of_text(around + TEXTS[name] + around) == spdx(name)


def test_a_file_that_holds_several_licences_is_under_all_of_them():
    assert licence_of_text(TEXTS["MIT"] + "\n-----\n" + TEXTS["BSD-3-Clause"]) == "BSD-3-Clause AND MIT"


@pytest.mark.parametrize(
    ("added", "licence"),
    [
        ("The Software shall be used for Good, not Evil.", "JSON AND MIT"),
        ('"Commons Clause" License Condition v1.0', "LicenseRef-scancode-free-unknown AND MIT"),
        ("For non-commercial use only.", "LicenseRef-scancode-free-unknown AND MIT"),
    ],
)
def test_a_condition_slipped_into_a_permissive_text_makes_it_another(added, licence):
    # Each is within the 5 % of edits that a copy of the licence may have.
    assert licence_of_text(TEXTS["MIT"] + "\n" + added) == licence
    assert not is_permissive(licence)


@pytest.mark.parametrize("text", ["", "\n", "All about our shop.", "copyright " * 30_000, "(" * 300_000, "\0\ud800"])
def test_a_text_that_is_no_licence_is_null(text):
    assert licence_of_text(text) is None


MANIFESTS = [
    ("package.json", '{"license": "MIT"}', "MIT"),
    ("web/package.json", '{"licenses": [{"type": "MIT"}, {"type": "GPL-2.0"}]}', "GPL-2.0-only OR MIT"),
    ("package.json", '{"license": "UNLICENSED"}', "LicenseRef-scancode-proprietary-license"),
    ("composer.json", '{"license": ["MIT", "LGPL-2.1-only"]}', "LGPL-2.1-only OR MIT"),
    ("pyproject.toml", '[project]\nlicense = "Apache-2.0"', "Apache-2.0"),
    ("pyproject.toml", '[project]\nlicense = {text = "BSD 3-Clause"}', "BSD-3-Clause"),
    ("pyproject.toml", '[tool.poetry]\nlicense = "MIT"', "MIT"),
    ("pyproject.toml", '[project]\nclassifiers = ["License :: OSI Approved :: MIT License", "A :: B"]', "MIT"),
    ("Cargo.toml", '[package]\nlicense = "MIT/Apache-2.0"', "Apache-2.0 OR MIT"),
    ("Cargo.toml", '[workspace.package]\nlicense = "MIT"', "MIT"),
    ("setup.cfg", "[metadata]\nlicense = MIT\nversion = %(x)s", "MIT"),
    ("setup.cfg", "[metadata]\nclassifiers =\n  A :: B\n  License :: OSI Approved :: MIT License\n", "MIT"),
    ("METADATA", "Name: x\nLicense-Expression: MIT OR ISC\n\nLicense: GPL", "ISC OR MIT"),
    ("PKG-INFO", "License: UNKNOWN\nClassifier: License :: OSI Approved :: ISC License (ISCL)\n", "ISC"),
    (
        "PKG-INFO",
        "Classifier: License :: OSI Approved :: BSD License\nClassifier: License :: OSI Approved :: MIT License\n",
        "BSD-3-Clause AND MIT",
    ),
    ("DESCRIPTION", "Package: x\nLicense: MIT + file LICENSE\n", "MIT"),
    ("DESCRIPTION", "License: GPL-2 | GPL (>= 3)\n", "GPL-2.0-only OR GPL-3.0-or-later"),
    ("pom.xml", "<licenses><license><name>Apache 2</name></license></licenses><name>x</name>", "Apache-2.0"),
    ("x.gemspec", "s.licenses = ['MIT', \"Ruby\"]", "MIT AND Ruby"),
]


@pytest.mark.parametrize(("path", "text", "licence"), MANIFESTS)
def test_a_manifest_says_what_its_package_is_under(path, text, licence):
    assert licence_of_manifest(path, text) == licence


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("package.json", "{not json"),
        ("package.json", '["a list"]'),
        ("package.json", '{"license": 3}'),
        ("package.json", '{"license": "SEE LICENSE IN LICENSE.md"}'),
        ("package.json", "[" * 100_000),
        ("pyproject.toml", "[project\nlicense ="),
        ("pyproject.toml", '[project]\nlicense = {file = "LICENSE"}'),
        ("pyproject.toml", 'project = "no table"'),
        ("pyproject.toml", "x = " + "[" * 100_000),
        ("Cargo.toml", "[package]\nlicense.workspace = true"),
        ("setup.cfg", "no section"),
        ("METADATA", ""),
        ("pom.xml", "<licenses>"),
        ("x.gemspec", "s.name = 'x'"),
        ("main.py", "license = 'MIT'"),
        ("package.json", '{"license": "MIT", "x": "' + "y" * 1_000_000 + '"}'),
    ],
)
def test_a_manifest_that_is_broken_too_large_or_silent_says_nothing(path, text):
    assert statement(path, text) is None
    assert licence_of_manifest(path, text) is None


@pytest.mark.parametrize("path", ["pyproject.toml", "Cargo.toml"])
def test_a_manifest_whose_keys_are_dotted_without_end_says_nothing_and_costs_nothing(path):
    # The standard parser would need gigabytes for it.
    assert statement(path, "a." * 100_000 + "a = 1\n") is None


def test_a_manifest_that_names_a_licence_nobody_knows_is_told_from_a_silent_one():
    assert statement("package.json", '{"license": "Acme-1.0"}') == "Acme-1.0"
    assert licence_of_manifest("package.json", '{"license": "Acme-1.0"}') is None


def test_a_manifest_may_hold_the_whole_text():
    assert licence_of_manifest("METADATA", "License: " + TEXTS["ISC"].replace("\n", "\n  ")) == "ISC"


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("// SPDX-License-Identifier: MIT\n", "MIT"),
        ("/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */", "GPL-2.0-only WITH Linux-syscall-note"),
        ("<!-- SPDX-License-Identifier: (MIT OR Apache-2.0) -->", "Apache-2.0 OR MIT"),
        (
            "# SPDX-License-Identifier: MIT\n# SPDX-License-Identifier: ISC OR GPL-2.0\n",
            "MIT AND (GPL-2.0-only OR ISC)",
        ),
        ("# SPDX-License-Identifier: MIT\n# SPDX-License-Identifier: MIT\n", "MIT"),
        ("# SPDX-License-Identifier: LicenseRef-Acme\n", None),
        ("# SPDX-License-Identifier:\n", None),
        ("x" * 5_000 + "SPDX-License-Identifier: MIT", None),
        ("SPDX-License-Identifier: MIT", "MIT"),
        ("x = 1", None),
    ],
)
def test_a_header_speaks_for_its_file(text, licence):
    assert licence_of_header(text) == licence
    assert spdx(pl.DataFrame({"text": [text]}).select(header()).item()) == licence


def test_a_value_is_never_cut_to_its_permissive_start():
    header_at_the_end = "#" * 3_972 + "SPDX-License-Identifier: MIT AND GPL-3.0-only\n"
    assert header_at_the_end[:4_000].endswith(": MIT")
    assert licence_of_header(header_at_the_end) is None
    assert pl.DataFrame({"text": [header_at_the_end]}).select(header()).item() is None
    assert spdx("MIT" + " " * 600 + "AND GPL-3.0-only") is None


def test_headers_of_a_frame_are_told_as_they_stand():
    texts = pl.DataFrame({"text": ["// SPDX-License-Identifier: mit", "x", None, "# SPDX-License-Identifier: Acme-1"]})
    assert texts.select(header())["text"].to_list() == ["mit", None, None, "Acme-1"]
