"""Comments and code of a file; Pygments, which the official pipeline uses, is the other implementation."""

import time

import pytest
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Literal

from opencoder_lib.languages import category_of
from opencoder_lib.syntax import Split, split
from opencoder_lib.syntax.scanner import _scanners, by_line

COUNTED = {Comment.Multiline, Comment.Single, Comment.Special, Comment.Hashbang, Literal.String.Doc}
SAMPLES = {
    "c": (
        '/* a */ int x = 1; // b\nchar c = \'"\'; char *s = "// no /* no";\n#define Y 2 // c\n/* d\n e */ int z;\n'
        '#define Q " // in a directive\nint y; // glued \\\n to this\nchar *t = "open // no\nint w; // yes\n'
        "/* open // yes\n"
    ),
    "cpp": (
        'auto s = "it\\"s // no"; // yes\nclass A { /* in */ int b; };\n'
        'auto r = R"x(" // no\n)" // no)x"; // yes\nint n = 1\'000; // yes\n'
    ),
    "csharp": (
        '/// <summary>doc</summary>\nvar s = "/* no */"; // yes\nvar v = @"a\\"; // yes\n'
        'var w = @"a""// no\n"; // yes\n'
        "[Name(\"// no\")] int x; // yes\n#region it's // no\nchar c = '\"'; /* yes */\n"
    ),
    "java": (
        'String s = "// no"; // yes\n/** doc */ class A {}\nchar q = \'"\'; // after\n'
        'String t = """\n  // no " \\""" // no\n  """; // yes\n/* open\n'
    ),
    "javascript": (
        'var r = /[/*]"/g; // yes\nlet s = "/* no", t = \'// no\', u = `// no\n${1}`;\n'
        "/* a\nb */ f(1 / 2 / 3);\n  /^x\\/*/.test(s) // yes\nreturn /'/ // yes\n"
        "v = `${ a /* yes */ + `// no` } // no`; // yes\nw = y => /'/ // no'\nit's; // yes\n"
    ),
    "typescript": 'const a: string = `x ${b /* yes */} // no`; // yes\nlet r = a ? /"/ : 1; // yes\n',
    "go": 'x := "// no" // yes\ny := `/* no\n // no` /* yes */\nz := \'"\' // yes\n',
    "rust": (
        "let c = '\"'; // yes\nfn f<'a>(x: &'a str) {} /* b /* nested */ b */ let s = \"// no\";\n"
        '/// doc\nlet r = r#"" // no"#; // yes\n#[doc = "// no" // no\n]\n'
    ),
    "sql": "select '-- no' -- yes\nfrom t /* a /* nested\n*/ b */ where x = 'it''s -- no';\n",
    "shell": (
        "#!/bin/sh\n# yes\necho \"# no\" '# no' $# a#b # yes\ncat <<EOF\n# no\n'\nEOF\n# yes\ncat <<'X'\n# no X\n"
        'y="$(f "# no" # yes\n)" ${x# no} $((2#11)) `g # yes\n` # yes\nz=it\\\'s # yes\n'
    ),
    "python": (
        '"""Doc."""\n# yes\nx = "# no" # yes\ndef f():\n'
        "    r'''Doc\n    two'''\n    y = \"\"\"no\n# no\"\"\"\n    return y\n"
        'z = f"{x["# no"]!r:>{w}} # no" # yes\nv = r"\\" # no" # yes\nopen = "no\n'
        "u = 1 # yes\nt = rb'''# no''' # yes\n"
    ),
    "ruby": (
        "x = \"# no\" # yes\ny = '# no'\n# full line\nz = %w[# no [# no] #] # yes\nf(<<~A, <<-B) # yes\n"
        "# no\nA\n# no\n  B\n"
        "# yes\nw = /# no/ # yes\nv = \"#{g('# no') # yes\n}\"\nc = ?# # yes\n=begin\nyes\n=end\n__END__\n# no\n"
    ),
    "php": (
        "<p># no</p>\n<?php // yes\n$a = '# no'; # yes\n/** doc */ #[Attribute]\n$b = <<<X\n# no\nX;\n"
        '$c = "{$d["# no"]} // no"; /* yes */ ?>// no\n'
    ),
    "yaml": (
        'a: 1 # yes\n# full line\nb: it\'s # yes\nc: a#b\nd: "# no" # yes\ne: |  # yes\n  # no\n\n # yes\n'
        "f: one\n  # no\ng: [x, # yes\n  y]\n- - h: 2\n    # no\n  - i\n# yes\n"
    ),
    "json": '{"a": "// no" /* yes */} // yes\n',
    "html": (
        '<p>a</p><!-- yes\n <b> --><i title="<!-- no -->">b</i>\n<script>// yes\nx = "// no" /* yes */</script>// no\n'
        "<style>/* no */</style><a href=x//y>// no</a>\n<SCRIPT src='a'></SCRIPT><!-- yes -->\n"
    ),
    "xml": "<?xml <!-- no --> ?><a b='<!-- no -->'><![CDATA[<!-- no -->]]></a><!-- yes -->\n",
    "css": "a { color: red } /* counted as code */\n",
    "scss": "$a: 1; // yes\n.b, // no\n.c { color: red; /* no */ }\n@include d( // in a value\n  1); /* yes */\n",
    "lua": 'x = "-- no" -- yes\n--[[ a\nb ]] y = 2\n--[==[ ]] ]==] z = [[-- no]] -- yes\n',
    "haskell": "f x' = \"-- no\" -- yes\n{- a {- nested -}\nb -}\ng = 1 --> no\nh = '\"' -- yes\n",
    "kotlin": 'val s = "${f("// no")} // no" // yes\nval t = """// no " """ // yes\nval c = \'"\' /* yes */\n',
    "swift": 'let s = "\\(f("// no")) // no" // yes\n/* a /* nested */ b */ let t = """\n// no\n"""\n',
    "scala": 'val s = s"${f("// no")} // no" // yes\nval t = """// no""" /* a /* nested */ b */\n',
    "groovy": "def s = '''// no''' // yes\ndef r = ~/[a-z]\"/ // yes\n",
    "elixir": 's = ~s(# no) # yes\nc = ?# # yes\nd = """\n# no\n""" # yes\ne = "#{f("# no")} # no" # yes\n',
    "nim": '## yes\n# code\nlet s = "## no" ## yes\n#[ a #[ nested ]# ]# let c = \'"\'\n',
    "ini": "[a]\nb = c ; yes\nd # no = e # yes\n; yes\n",
    "powershell": '<# yes #> $a = "<# no #> $(f "<# no #>")" # code\n',
    "clojure": '(= c \\;) "; no" ; yes\n',
}


@pytest.mark.parametrize("language", SAMPLES)
def test_split_is_that_of_the_lexer(language):
    code, comments = [], []
    for kind, value in get_lexer_by_name(language).get_tokens(SAMPLES[language]):
        (comments if kind in COUNTED else code).append(value)
    found = split(SAMPLES[language], language)
    assert (found.code, found.comments) == ("".join(code), "".join(comments))


def test_line_comments_take_their_line_end_along_only_where_the_lexer_does():
    assert split("x; // a\ny;\n", "c") == Split("x; y;\n", "// a\n")
    assert split("x; // a\ny;\n", "java") == Split("x; \ny;\n", "// a")


def test_the_comments_are_also_there_one_by_one():
    found = split('"""Doc."""\nx = 1 # a\n# b\n', "python")
    assert found.pieces() == ['"""Doc."""', "# a", "# b"]
    assert found.separate_comments == '"""Doc."""\n# a\n# b\n'


def test_if_0_and_what_follows_an_include_are_split_as_in_the_release():
    found = split('#include <a.h> // b\n#if 0\n// c\n"\n#endif\n/* d */ x\n', "c")
    assert (found.code, found.comments) == ('#include <a.h>\n#if 0\n// c\n"\n#endif\n x\n', " // b/* d */")


def test_less_knows_line_comments_between_braces_only():
    found = split("// no\n.a { color: red; // yes\n b: c // no\n}\n", "less")
    assert (found.code, found.comments) == ("// no\n.a { color: red;  b: c // no\n}\n", "// yes\n")


@pytest.mark.parametrize("language", ["c", "java"])
def test_separated_comments_and_code_keep_their_lines(language):
    found = split("x; // é a\ny; // b\n// c\n// d\n", language)
    assert found.separate_comments == "// é a\n// b\n// c\n// d\n"
    assert [line for line in found.separate_code.split("\n") if line] == ["x; ", "y; "]


def test_characters_beyond_ascii_and_lone_surrogates_keep_their_place():
    assert split("é\ud800 # ü\n", "python") == Split("é\ud800 \n", "# ü")


def test_text_is_prepared_as_the_lexers_do():
    assert split("\ufeff\n\nx\r\ny\rz\n\n", "java").code == "x\ny\nz\n"
    assert split("", "java") == Split("\n", "")


def test_programs_without_a_lexer_are_split_by_the_flag_of_the_release():
    text = "a\n/* b */\nc\n*/\nd\n# e\nf\n"
    assert by_line(text) == Split("a\nd\n", "/* b */\nc\n*/\n# e\nf\n")
    assert split(text, "vue") == by_line(text)


def test_perl_documentation_runs_until_cut():
    text = "my $x;\n=head1\ntext\n=cut\nmy $y; # not a whole line\n# yes\n"
    assert split(text, "perl") == Split("my $x;\nmy $y; # not a whole line\n", "=head1\ntext\n=cut\n# yes\n")


def test_every_program_of_the_table_is_a_code_or_data_program_but_for_notebooks():
    others = {language for language in _scanners() if category_of(language) not in ("code", "data")}
    assert others == {"jupyter notebook"}
    assert len(_scanners()) == 237


def test_a_heading_in_a_notebook_is_no_comment():
    text = "<jupyter_start><jupyter_text># Sums\nof two<jupyter_code># one\nprint(1 + 1)<jupyter_output>2\n"
    assert split(text, "jupyter notebook") == Split(text, "")


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
    "<<",
    "<<ab\n",
    "<script>",
    "<a b='",
    "{ a",
    "${",
    "${`",
    "#{",
    "%(",
    "r#",
    " #",
    "a /",
]


LANGUAGES = ["python", "javascript", "c", "csharp", "shell", "html", "php", "ruby", "rust", "yaml", "elixir", "scss"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("piece", HOSTILE)
def test_two_megabytes_of_anything_take_linear_time(language, piece):
    text = "x = " + piece * (2_000_000 // len(piece))
    start = time.monotonic()
    found = split(text, language)
    assert time.monotonic() - start < SECONDS
    assert len(found.code) + len(found.comments) <= len(text) + 1
