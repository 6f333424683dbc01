"""Comments and code of a file; Pygments, which the official pipeline uses, is the other implementation."""

import time

import pytest
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Literal

from opencoder_lib.languages import category_of
from opencoder_lib.syntax import split
from opencoder_lib.syntax.scanner import _scanners, by_line

COUNTED = {Comment.Multiline, Comment.Single, Comment.Special, Comment.Hashbang, Literal.String.Doc}
SAMPLES = {
    "c": '/* a */ int x = 1; // b\nchar c = \'"\'; char *s = "// no /* no";\n#define Y 2 // c\n/* d\n e */ int z;\n',
    "cpp": 'auto s = "it\\"s // no"; // yes\nclass A { /* in */ int b; };\n',
    "csharp": '/// <summary>doc</summary>\nvar s = "/* no */"; // yes\n',
    "java": 'String s = "// no"; // yes\n/** doc */ class A {}\nchar q = \'"\'; // after\n',
    "javascript": (
        'var r = /[/*]"/g; // yes\nlet s = "/* no", t = \'// no\', u = `// no\n${1}`;\n'
        "/* a\nb */ f(1 / 2 / 3);\n  /^x\\/*/.test(s) // yes\nreturn /'/ // yes\n"
    ),
    "go": 'x := "// no" // yes\ny := `/* no\n // no` /* yes */\n',
    "rust": "let c = '\"'; // yes\nfn f<'a>(x: &'a str) {} /* b */ let s = \"// no\";\n",
    "sql": "select '-- no' -- yes\nfrom t /* a\nb */ where x = 'it''s';\n",
    "shell": "#!/bin/sh\n# yes\necho \"# no\" '# no' $# a#b # yes\n",
    "python": (
        '"""Doc."""\n# yes\nx = "# no" # yes\ndef f():\n'
        "    r'''Doc\n    two'''\n    y = \"\"\"no\n# no\"\"\"\n    return y\n"
    ),
    "ruby": "x = \"# no\" # yes\ny = '# no'\n# full line\n",
    "yaml": "a: 1 # yes\n# full line\nb: 2\n",
    "json": '{"a": "// no"}\n',
    "html": '<p>a</p><!-- yes\n <b> --><i title="x">b</i>\n',
    "css": "a { color: red } /* counted as code */\n",
    "lua": 'x = "-- no" -- yes\n--[[ a\nb ]] y = 2\n',
    "haskell": 'f x\' = "-- no" -- yes\n{- a\nb -}\ng = 1\n',
}


@pytest.mark.parametrize("language", SAMPLES)
def test_split_is_that_of_the_lexer(language):
    code, comments = [], []
    for kind, value in get_lexer_by_name(language).get_tokens(SAMPLES[language]):
        (comments if kind in COUNTED else code).append(value)
    found = split(SAMPLES[language], language)
    assert (found.code, found.comments) == ("".join(code), "".join(comments))


def test_line_comments_take_their_line_end_along_only_where_the_lexer_does():
    assert split("x; // a\ny;\n", "c") == ("x; y;\n", "// a\n", "")
    assert split("x; // a\ny;\n", "java") == ("x; \ny;\n", "// a", "")


def test_hash_comments_are_kept_apart_from_docstrings():
    assert split('"""Doc."""\nx = 1 # a\n# b\n', "python").hash_comments == "# a# b"


def test_text_is_prepared_as_the_lexers_do():
    assert split("\ufeff\n\nx\r\ny\rz\n\n", "java").code == "x\ny\nz\n"
    assert split("", "java") == ("\n", "", "")


def test_programs_without_a_lexer_are_split_by_the_flag_of_the_release():
    text = "a\n/* b */\nc\n*/\nd\n# e\nf\n"
    assert by_line(text) == ("a\nd\n", "/* b */\nc\n*/\n# e\nf\n", "")
    assert split(text, "vue") == by_line(text)


def test_perl_documentation_runs_until_cut():
    text = "my $x;\n=head1\ntext\n=cut\nmy $y; # not a whole line\n# yes\n"
    assert split(text, "perl") == ("my $x;\nmy $y; # not a whole line\n", "=head1\ntext\n=cut\n# yes\n", "")


def test_every_program_of_the_table_is_a_code_or_data_program():
    assert {category_of(language) for language in _scanners()} <= {"code", "data"}
    assert len(_scanners()) == 237


def test_no_character_is_lost_between_code_and_comments():
    for language, sample in SAMPLES.items():
        found = split(sample, language)
        assert sorted(found.code + found.comments) == sorted(sample), language


# A quadratic scan would take hours; the limit leaves room for a busy machine.
SECONDS = 20
HOSTILE = [
    '"',
    "'",
    "`",
    "/*",
    "'''",
    '"""\n',
    '\\"',
    "#",
    "//",
    "<!--",
    "{-",
    "--[[",
    "=/[",
    "\\",
    "''' \"",
    "\n ",
    "'\n",
]


@pytest.mark.parametrize("language", ["python", "javascript", "c", "shell", "html", "lua"])
@pytest.mark.parametrize("piece", HOSTILE)
def test_two_megabytes_of_anything_take_linear_time(language, piece):
    text = "x = " + piece * (2_000_000 // len(piece))
    start = time.monotonic()
    found = split(text, language)
    assert time.monotonic() - start < SECONDS
    assert len(found.code) + len(found.comments) <= len(text) + 1
