import ast
import sysconfig
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_contract import assert_stage_contract, file_frames

from opencoder_lib.files import new_files
from opencoder_lib.languages import _table as language_table
from opencoder_lib.refine.copyright import find_notices, notices, strip_copyright_notices
from opencoder_lib.refine.copyright.cuts import notice_cuts, without
from opencoder_lib.refine.copyright.heads import _families, programs_without_comments, syntax_of
from opencoder_lib.refine.copyright.legal_text import legal_lines, phrases
from opencoder_lib.refine.edits import apply, count_edits


def stripped(text: str, language: str = "python") -> str:
    return without(text, notice_cuts(text, syntax_of(language)))


def one_file(path: str, text: str) -> pl.DataFrame:
    return new_files([{"path": path, "origin": "folder", "text": text}])


# The table of comments.


def test_every_program_with_code_data_or_text_has_comments_or_is_said_to_have_none():
    programs = {program for kind in ("code", "data", "text") for program in language_table()[kind]}
    with_comments, without_comments = set(_families()), set(programs_without_comments())
    assert with_comments | without_comments == programs
    assert with_comments & without_comments == set()


@pytest.mark.parametrize("program", sorted(_families()))
def test_in_every_program_a_notice_goes_and_the_description_below_it_stays(program):
    for family in _families()[program]:
        for mark in family.get("line", []):
            assert stripped(f"{mark} Copyright 2014-2016 Intel\n\nx\n", program) == "x\n"
            kept = f"{mark} Sorts an array.\n\nx\n"
            assert stripped(f"{mark} Copyright 2014-2016 Intel\n{mark}\n{kept}", program) == kept
        for opener, closer in family.get("block", []):
            assert stripped(f"{opener} Copyright 2014 Intel\n{closer}\nx\n", program) == "x\n"
            text = f"{opener}\nCopyright 2014 Intel\n\nSorts an array.\n{closer}\nx\n"
            assert stripped(text, program) == f"{opener}\nSorts an array.\n{closer}\nx\n"


@pytest.mark.parametrize(
    ("language", "text", "left"),
    [
        ("fortran", "C     Copyright 1999 Foo\n*     All rights reserved\n      CALL X\n", "      CALL X\n"),
        ("fortran", "call copyright(1999)\n", "call copyright(1999)\n"),
        ("cobol", "000100* Copyright 1999 Foo\n000200 IDENTIFICATION DIVISION.\n", "000200 IDENTIFICATION DIVISION.\n"),
        ("batchfile", "@echo off\nREM Copyright 2010 Foo\n:: MIT License\ndir\n", "@echo off\ndir\n"),
        ("basic", "10 REM Copyright 1984 Foo\n20 PRINT\n", "20 PRINT\n"),
        ("roff", '.\\" Copyright (c) 1990 The Regents\n.\\"\n.TH LS 1\n', ".TH LS 1\n"),
        ("texinfo", "\\input texinfo\n@c Copyright 2001 FSF\n@setfilename x\n", "\\input texinfo\n@setfilename x\n"),
        ("restructuredtext", ".. Copyright 2010 Foo\n   All rights reserved.\n\nTitle\n", "Title\n"),
        ("restructuredtext", ".. image:: copyright-2010.png\n", ".. image:: copyright-2010.png\n"),
        ("adobe font metrics", "StartFontMetrics 4.1\nComment Copyright 1989 A\nC 1\n", "StartFontMetrics 4.1\nC 1\n"),
        ("haskell", "{- a {- Copyright 2010 B -} -}\nmodule X\n", "module X\n"),
        ("haskell", "{-# LANGUAGE CPP #-}\n-- Copyright 2010 B\nmodule X\n", "{-# LANGUAGE CPP #-}\nmodule X\n"),
        ("sql", "/*! (c) 2010 runs in MySQL */\n", "/*! (c) 2010 runs in MySQL */\n"),
        ("coffeescript", "#####\n# Copyright 2010 B\n#####\nx\n", "x\n"),
        ("matlab", "%{\nCopyright 2010 B\n%}\nx\n", "x\n"),
        ("css", "// Copyright 2010 is no comment here\n", "// Copyright 2010 is no comment here\n"),
        ("csharp", '// <copyright file="A.cs" company="Foo">\n// Copyright (c) Foo.\n// </copyright>\nx\n', "x\n"),
        ("julia", "# This file is a part of Julia. License is MIT: https://julialang.org/license\nx\n", "x\n"),
        ("java", "// 版权所有 2020 某某公司\nx\n", "x\n"),
    ],
)
def test_comments_with_rules_of_their_own(language, text, left):
    assert stripped(text, language) == left


@pytest.mark.parametrize(
    "words",
    [
        "Checks that every file has a license header.",
        "This API may change: it is subject to change without notice.",
        "Rolls the dice. Use at your own risk.",
        "Grants: permission is granted to the role app on the table.",
        "Prints license information and exits.",
    ],
)
def test_documentation_that_speaks_of_licences_stays(words):
    assert stripped(f"# {words}\nx = 1\n", "python") == f"# {words}\nx = 1\n"


# What stands before the first comment.


@pytest.mark.parametrize(
    ("language", "before"),
    [
        ("python", "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n"),
        ("python", '"""What the module does."""\n\n'),
        ("python", "r'''Two\n\\'''lines'''\n"),
        ("python", "\ufeff"),
        ("ruby", "# frozen_string_literal: true\n"),
        ("xml", '<?xml version="1.0"?>\n'),
        ("html", "<!DOCTYPE html>\n"),
        ("html", "<!--[if lt IE 9]> (c) 2010 <![endif]-->\n"),
        ("php", "<?php\ndeclare(strict_types=1);\n\n"),
        ("javascript", "'use strict';\n"),
        ("go", "//go:build linux\n\n"),
        ("go", "// +build linux\n\n"),
        ("csharp", "#region License\n"),
        ("yaml", "%YAML 1.2\n---\n"),
        ("tex", "% -*- coding: utf-8 -*-\n"),
    ],
)
def test_what_a_program_needs_in_front_stays(language, before):
    notice = "<!-- Copyright 2010 Foo -->\n" if language in ("xml", "html") else None
    mark = {"php": "//", "javascript": "//", "go": "//", "csharp": "//", "tex": "%"}.get(language, "#")
    assert stripped(before + (notice or f"{mark} Copyright 2010 Foo\n") + "x\n", language) == before + "x\n"


def test_a_directive_inside_the_notice_stays():
    text = "// Copyright 2010 Foo\n// Licensed under MIT.\n//go:build linux\n\npackage x\n"
    assert stripped(text, "go") == "//go:build linux\n\npackage x\n"
    assert (
        stripped("/* (c) 2010 Foo\n   eslint-disable no-x */\nx\n", "javascript")
        == "/*\n   eslint-disable no-x */\nx\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "import os\n# Copyright 2010 Foo\n",
        "x = 1  # Copyright 2010 Foo\n",
        '"""Copyright 2010 Foo"""\nx = 1\n',
        '"""Doc.""".x\n# Copyright 2010 Foo\n',
        "LICENSE = 'MIT'\n",
    ],
)
def test_nothing_behind_the_first_code_and_no_string_is_touched(text):
    assert stripped(text) == text


# Notice or documentation.


def test_a_javadoc_comment_keeps_its_description_and_its_author():
    text = (
        "/**\n * Sorts arrays.\n *\n * @author Ann\n *\n * Copyright (c) 2010 Foo Inc.\n * All rights reserved.\n"
        " *\n * Permission is hereby granted, free of charge, to any person\n * obtaining a copy.\n */\nclass A {}\n"
    )
    assert stripped(text, "java") == "/**\n * Sorts arrays.\n *\n * @author Ann\n */\nclass A {}\n"


def test_an_author_next_to_a_notice_line_is_part_of_the_notice():
    assert stripped("# Author: Ann\n# Copyright 2010 Foo\n\n# Authors: Ben\n\nx\n") == "# Authors: Ben\n\nx\n"


def test_a_file_name_line_above_the_notice_stays():
    text = (
        "/* inflate.c -- decompression\n * Copyright (C) 1995 Mark Adler\n"
        " * For conditions of distribution and use, see zlib.h\n */\n"
    )
    assert stripped(text, "c") == "/* inflate.c -- decompression\n */\n"


def test_the_whole_of_a_common_licence_goes_sentence_by_sentence():
    bsd = (
        "Copyright (c) 2010 Foo\n\nRedistribution and use in source and binary forms, with or without\n"
        "modification, are permitted provided that the following conditions\nare met:\n\n"
        "1. Redistributions of source code must retain the above copyright\n   notice.\n"
        "2. The end-user documentation must be blue.\n\n3. Be nice to each other.\n\n"
        "THIS SOFTWARE IS PROVIDED BY THE AUTHOR ``AS IS'' AND ANY EXPRESS OR\nIMPLIED WARRANTIES ARE DISCLAIMED.\n"
    )
    commented = "".join(f"# {line}".rstrip() + "\n" for line in bsd.splitlines())
    assert stripped(commented + "\nx = 1\n") == "x = 1\n"


@pytest.mark.parametrize(
    "line",
    [
        "Copyright Intel Corporation 2014-2016",
        "Copyright The Go Authors",
        "(c) 2010 Foo",
        "© Foo",
        "2004-2010 (C) Foo",
        "SPDX-License-Identifier: MIT",
        "@license MIT",
        "License: GPLv3",
        "MIT License",
        "Released under the MIT license",
        "This file is free software; you can redistribute it",
        "All rights reserved.",
        "Placed in the public domain.",
    ],
)
def test_lines_that_are_a_notice(line):
    assert legal_lines([line]) == [True]


@pytest.mark.parametrize(
    "line",
    [
        "This module checks the copyright line of files.",
        "Prints a notice if the licence key is missing.",
        "Case (c): nothing is left.",
        "isalpha(c) 2010 times",
        "The public interface is in a.h.",
        "Written by Ann",
        "Version 2.0, 2010-01-01",
        "The caller must have permission to write.",
    ],
)
def test_lines_that_are_documentation(line):
    assert legal_lines([line]) == [False]


def test_every_sentence_of_the_table_makes_a_line_legal():
    sentences = [sentence for found in phrases().sentences.values() for sentence in found]
    assert len(sentences) > 200
    assert [sentence for sentence in sentences if legal_lines([sentence]) != [True]] == []


def test_a_comment_without_a_word_of_a_notice_is_none():
    # "is governed by a" points to a licence, but only where a licence or a holder is spoken of.
    assert stripped("# The loop is governed by a flag.\nx\n") == "# The loop is governed by a flag.\nx\n"
    assert stripped("# Its use is governed by a licence.\nx\n") == "x\n"


# Where it is cut.


def test_the_frame_goes_with_a_notice_and_stays_with_a_description():
    frame = "#" * 20 + "\n"
    assert stripped(f"{frame}# Copyright 2010 Foo\n{frame}\nx\n") == "x\n"
    assert stripped(f"{frame}# Sorts.\n{frame}# Copyright 2010 Foo\n{frame}x\n") == f"{frame}# Sorts.\n{frame}x\n"
    assert stripped(f"{frame}# Copyright 2010 Foo\n{frame}# Sorts.\n{frame}x\n") == f"{frame}# Sorts.\n{frame}x\n"


def test_no_hole_is_left_and_no_separating_line_is_taken():
    assert stripped("# (c) 2010 Foo\n\n\nx\n") == "x\n"
    assert stripped("#!/bin/sh\n# (c) 2010 Foo\n\nx\n", "shell") == "#!/bin/sh\n\nx\n"
    assert stripped("#!/bin/sh\n\n# (c) 2010 Foo\n\nx\n", "shell") == "#!/bin/sh\n\nx\n"
    assert stripped("// A.\n\n// (c) 2010 Foo\n\npackage a\n", "go") == "// A.\n\npackage a\n"


def test_code_on_the_line_of_a_notice_stays():
    assert stripped("/*! a v1 (c) 2010 Foo *//*! b (c) 2011 Bar */var x=1", "javascript") == "var x=1"
    assert stripped("<?php // (c) 2010 Foo\necho 1;", "php") == "<?php \necho 1;"
    assert stripped("<?php /* (c) 2010 Foo */echo 1;", "php") == "<?php echo 1;"


def test_line_ends_bytes_and_a_missing_last_line_end_are_kept():
    assert stripped("/*\r\n * Æ.\r\n *\r\n * © 2010 Foo\r\n */\r\nint x;", "c") == "/*\r\n * Æ.\r\n */\r\nint x;"
    assert stripped("# © 2010 Foo") == ""
    files = one_file("é.c", "/* Æøå: sorts.\n\n   © 2010 Foo */\nint é;\n")
    assert strip_copyright_notices(files)["text"].to_list() == ["/* Æøå: sorts.\n */\nint é;\n"]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("c", "/* Copyright 2010 Foo\nint x;\n"),
        ("haskell", "{- {- Copyright 2010 Foo -}\nx\n"),
        ("c", "// Copyright 2010 Foo \\\nint x;\n"),
        ("python", "# Copyright 2010 Foo\rimport x\n"),
        ("javascript", "// Copyright 2010 Foo\u2028run();\n"),
    ],
)
def test_what_might_not_be_a_comment_to_its_end_is_left_alone(language, text):
    assert stripped(text, language) == text


def test_a_block_is_not_cut_if_it_would_end_elsewhere():
    # Without its second line the comment would end at the first mark of a pair that the notice had opened.
    text = "{- Sorts. {-\n\nCopyright 2010 Foo -}\n\nMore.\n-}\nmodule X\n"
    assert stripped(text, "haskell") == text


# The stage.


def test_spans_are_bytes_and_what_was_cut_is_counted_and_shown():
    text = "# © 2010 Foo\n#\n# Sorts.\n#\n# SPDX-License-Identifier: MIT\nx = 1\n"
    files = one_file("a.py", text)
    spans = find_notices(files)
    assert spans.select("start", "end", "replacement", "kind").rows() == [(0, 16, "", "notice"), (25, 58, "", "notice")]
    edits = apply(files, spans, "copyright").edits
    assert count_edits(edits).rows() == [("copyright", "notice", 1, 2, 49)]
    assert notices(files)["notice"].to_list() == ["# © 2010 Foo\n#\n\n#\n# SPDX-License-Identifier: MIT\n"]


def test_removed_files_other_categories_and_far_notices_are_left_alone():
    text = "# Copyright 2010 Foo\n"
    rows = [
        {"path": "gone.py", "text": text, "removed_by": "exact.duplicate"},
        {"path": "a.unknown", "text": text},
        {"path": "LICENSE", "text": text},
        {"path": "far.py", "text": "# x\n" * 3000 + text},
        {"path": "in.py", "text": text},
    ]
    files = new_files([row | {"origin": "folder"} for row in rows])
    assert strip_copyright_notices(files)["text"].to_list() == [*[row["text"] for row in rows[:-1]], ""]


@settings(deadline=None)
@given(file_frames())
def test_stripping_keeps_the_stage_contract(files):
    assert_stage_contract(strip_copyright_notices, files, transforms_text=True)


MARKS = [
    "# ",
    "#",
    "// ",
    "/*",
    " * ",
    "*/",
    "/**",
    "-- ",
    "{- ",
    "-}",
    "--[[",
    "]]",
    "<!-- ",
    "-->",
    '"""',
    "<?php ",
    "",
]
SAID = [
    "Copyright 2010 Foo", "(c) 2010", "all rights", "reserved", "licensed", "under the", "MIT", "Sorts.", "a-b, ", "©",
    "permission is hereby granted", "1. Redistributions of source", "-*- c -*-", "=======", "x = 1", "@author A",
]  # fmt: skip
ENDS = ["\n", "\n", "\n\n", "\r\n", " ", "", "\\\n", "\r", "\ufeff"]
HEADS = st.lists(st.tuples(*map(st.sampled_from, (MARKS, SAID, ENDS))), max_size=14).map(
    lambda pieces: "".join("".join(piece) for piece in pieces)
)
PROGRAMS = st.sampled_from(["python", "c", "haskell", "lua", "php", "xml", "limbo", "cmake", "restructuredtext", "d"])


def test_a_notice_that_appears_when_another_goes_goes_too_unless_there_is_no_end_of_it():
    def wrapped(times: int) -> str:
        return "# Like Mozilla\n" * times + "# Copyright 2010 Foo Inc.\n" + "# Public things.\n" * times + "x\n"

    # Without the line between them the two others say "Mozilla Public".
    assert stripped(wrapped(1)) == stripped(wrapped(2)) == "x\n"
    assert stripped(wrapped(20)) == wrapped(20)


@settings(max_examples=400, deadline=None)
@given(HEADS, PROGRAMS)
def test_a_second_pass_changes_nothing_and_all_that_is_left_was_there(text, program):
    syntax = syntax_of(program)
    cuts = notice_cuts(text, syntax)
    assert all(0 <= start < end <= len(text) for start, end in cuts)
    assert all(before[1] < after[0] for before, after in pairwise(cuts))
    assert notice_cuts(without(text, cuts), syntax) == []


@settings(max_examples=300, deadline=None)
@given(HEADS)
def test_python_that_parses_still_parses_to_the_same_tree(text):
    try:
        tree = ast.dump(ast.parse(text))
    except (SyntaxError, ValueError):
        return
    assert ast.dump(ast.parse(stripped(text))) == tree


def test_real_python_files_with_a_notice_put_in_parse_to_the_same_tree():
    notice = "# Copyright 2010 Foo\n#\n# Licensed under the Apache License, Version 2.0\n"
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:30]
    assert len(modules) == 30
    for module in modules:
        text = module.read_text(encoding="utf-8")
        assert ast.dump(ast.parse(stripped(notice + text))) == ast.dump(ast.parse(text)), module.name
        assert "Licensed under the Apache License, Version 2.0" not in stripped(notice + text), module.name


NOTICE = "Copyright (c) 2010 Foo "


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("c", "/*" * 250_000),
        ("d", "/+" * 250_000 + NOTICE + "+/" * 250_000),
        ("c", f"/*{NOTICE}*/\n/* doc */\n" * 10_000),
        ("c", f"/*{NOTICE}*/" * 10_000),
        ("python", f"# {NOTICE}\n#\n# doc.\n#\n" * 10_000),
        ("python", "# copyright " + "(" * 250_000),
        ("python", '"""' + '" ' * 250_000),
        ("python", "# all rights\n" * 10_000 + f"# {NOTICE}\n" + "# reserved\n" * 10_000),
    ],
    ids=[
        "open blocks",
        "nested",
        "half a notice",
        "one line",
        "paragraphs",
        "brackets",
        "quotes",
        "notices in notices",
    ],
)
def test_hostile_heads_take_linear_time(language, text):
    # Quadratic work on a text of half a megabyte takes minutes; the limit of the test run is the guard.
    left = stripped(text, language)
    assert stripped(left, language) == left
