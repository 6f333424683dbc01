"""The expected numbers are characters of BeautifulSoup 4.12.3's get_text on Python 3.11.7's html.parser, by hand."""

import time

import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from opencoder_lib.syntax.html import html_text_length, html_text_lengths

DIGITS = "1" * 4300


def test_length_of_a_small_page():
    page = "<!DOCTYPE html>\n<title>Tea &amp; milk</title>\n<!-- no --><script>1 < 2</script><p>Two  \n\nlines</p>\n"
    # Line feed, title, line feed, paragraph, line feed.
    assert html_text_length(page) == 1 + len("Tea & milk") + 1 + len("Two  \n\nlines") + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("plain", 5),
        ("\ufeff<p>中é😀</p>\r\n", 5),
        ("a\x00b", 3),
        # A text node of ASCII white space is one character, other white space is not.
        ("<p> \n\t </p>", 1),
        ("<p>\xa0\x0b</p>", 2),
        ("<p>&Tab;&#10;&#x20;</p>", 1),
        ("<pre> \n\t </pre>", 4),
        ("<textarea> <b>  </b></textarea>", 3),
        # An ignored end tag and an empty one do not divide a text node, a comment does.
        ("<br> </br> ", 1),
        (" </> ", 1),
        (" <!----> ", 2),
        (" </1> ", 2),
    ],
)
def test_white_space(text, expected):
    assert html_text_length(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&lt;&nbsp;&copy", 7),
        ("&copy x", 3),
        ("&copyx y", 8),
        ("&unknown;", 8),
        ("&NotEqualTilde;", 2),
        ("&CounterClockwiseContourIntegral;", 1),
        ("&a-b c", 6),
        ("&amp-b c", 8),
        ("&amp.b", 3),
        ("AT&T", 3),
        ("AT&", 3),
        ("a && b", 6),
        ("&#65;&#x41;&#X41 &#0;", 5),
        ("&#150;&#129;&#xD800;&#99999999999;", 4),
        # A number without an end stops the first reading, the second one stops the second: then all is text.
        ("&#12a;<b>x</b>", 7),
        ("&#12a;&#;<b>x</b>", 17),
        ("&#12a <b>x</b>", 14),
    ],
)
def test_character_references(text, expected):
    assert html_text_length(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a<SCRIPT>b</script >c", 2),
        ("a<script>b</scripts></style></script>c", 2),
        ("a<style>b<p>c", 1),
        ("a<script/>b", 2),
        ("<rt>a<b>b</b></rt>c<rp>d</rp>", 1),
        ("<template>a<p>b</template>c", 1),
        # No implied end tags; an end tag closes up to the last open element of its name, if there is one.
        ("<ruby>a<rt>b<rt>c</ruby>d", 2),
        ("<template></p>a</template>b", 1),
        ("<p><template></p>a</template>b", 2),
        # The first <br> makes the end of <br/> be ignored; that element then stays open.
        ("<br><br/><rt>a</br>b", 1),
        ("<br/><rt>a</br>b", 0),
        # A CDATA section counts wherever it is, and an empty one as a space.
        ("<template>a<![CDATA[b]]></template>", 1),
        ("<![cdata[]]>", 1),
        ("<pre><![CDATA[]]></pre>", 0),
        ("<![CDATA [a]] >b", 1),
        ("<![CDATA[a]>b]] >c", 5),
        ("<![if IE]>a<![endif]>b", 2),
    ],
)
def test_elements_whose_text_is_hidden(text, expected):
    assert html_text_length(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a<!-- > -- ->b--  >c", 2),
        ("a<!-->b-->c", 2),
        ("a<!--b>c", 8),
        ("a<?php '>' ?>b", 6),
        ("a<!x>b<!>c<!doctype y>d", 4),
        ("a<!doctype y", 12),
        ("a</ p>b</ p q>c", 3),
        ("a</p q='>'>b", 4),
        ("a < b <1> <", 11),
        ("a<p", 3),
        ("a<p<p>b", 2),
        ("a<p b='>'>c", 2),
        ("a<p b='>c", 9),
        ("a<p b= '>c", 2),
        ("a<p b='>c<i>d</i>", 10),
        ("a<p b=='>c", 2),
        ("a<p =b>c", 2),
        ("a<p b=c/>d<p b='c'/>e<p / >f", 4),
        ("a<p\x00>b", 6),
        ("a<p'\x00>b", 2),
        ("a<p\x0b>b</p\x0b>c", 3),
    ],
)
def test_markup_and_what_looks_like_it(text, expected):
    assert html_text_length(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a<![x]>", None),
        ("a<![ if]>", None),
        ("a<![", 4),
        ("a<![x", 5),
        (f"&#{DIGITS};", 1),
        (f"&#{DIGITS}1;", None),
        (f"&#x{DIGITS}1;", 1),
        (f"<p a='&#{DIGITS}1;'>b", None),
        (f"<p a='&#{DIGITS};'>b", 1),
        (f"<p &#{DIGITS}1>b", 1),
    ],
)
def test_pages_that_the_parser_refuses(text, expected):
    assert html_text_length(text) == expected


def test_many_pages_have_the_lengths_of_each():
    pages = ["<p>ab</p>", "", "<![x]>", "&amp;"]
    codes = np.frombuffer("".join(pages).encode("utf-32-le"), np.uint32)
    offsets = np.cumsum([0, *map(len, pages)])
    np.testing.assert_array_equal(html_text_lengths(codes, offsets), [2, 0, np.nan, 1])


def test_more_names_than_the_table_has_room_for():
    names = [f"n{i}" for i in range(1_000)]
    opened, closed = "".join(f"<{name}>x" for name in names), "".join(f"</{name}>y" for name in reversed(names))
    assert html_text_length(f"<rt>{opened}{closed}</rt>z") == 1


# What all html.parsers since Python 3.11 and all BeautifulSoups since 4.12 read alike: complete markup.
NAMES = ["p", "DIV", "b", "ruby", "rt", "rp", "template", "pre", "x-y", "svg:g"]
COMPLETE = st.one_of(
    st.sampled_from(NAMES).map("<{}>".format),
    st.sampled_from(NAMES).map("</{}>".format),
    st.sampled_from(["<img src='a>b'>", '<br class="c d">', "</br>", '<i title=""/>', "<hr/>", "<b id=x hidden >"]),
    st.sampled_from(["<script>if (a) b('c')</script>", "<style>p { x: y }</style>", "<!-- <p> -->", "<!DOCTYPE html>"]),
    st.sampled_from(["&amp;", "&lt;", "&nbsp;", "&NewLine;", "&#10;", "&#x41;", "&#150;", "&eacute ", "& ", "< "]),
    st.sampled_from([" ", "\n", "  \t", "one", " two ", "é中😀", "\xa0"]),
)


@given(st.lists(COMPLETE, max_size=40).map("".join))
@settings(max_examples=400, deadline=None)
def test_length_of_complete_markup_is_that_of_beautifulsoup(page):
    # The last word keeps an end of the text from being where parsers differ.
    page += "<p>end</p>"
    assert html_text_length(page) == len(BeautifulSoup(page, "html.parser").get_text())


SIZE = 400_000
HOSTILE = [
    *["<", "</", "<a", "<a<", "<a ", "<!", "<!--", "<![CDATA[", "<![if ", "<?", "<a\x00", "<a =", "<p>", "<br><br/>"],
    *["&", "&#", "&#;", "&#1", "&a", "&abc-", "<script></", "<style></ ", "]", "--"],
    *["<a b='", "<a b='\">", "<a/b=", "<a'b=\"c'd=\"", "<a b=\"' c='\"", '<x/b<a/c="'],
]


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("end", ["", ">", "'\">;"])
def test_broken_markup_takes_linear_time(unit, end):
    start = time.monotonic()
    assert html_text_length(unit * (SIZE // len(unit)) + end) is not None
    # A quadratic step would take minutes.
    assert time.monotonic() - start < 20
