import pytest

from opencoder_lib.book.markdown import fill_numbers, literal, plain, quoted, relink, table
from opencoder_lib.errors import ConfigError

MEASURED = {"exact.frac_removed": (0.113, "share")}


def test_plain_text_cannot_become_markup():
    assert plain("*a* `b` $c$ <d> {e}`f`\n g|h") == r"\*a\* \`b\` \$c\$ \<d\> \{e\}\`f\` g\|h"


def test_plain_text_renders_as_it_was():
    from markdown_it import MarkdownIt

    text = '5 % of *x*, a_b, [l](m), <b>, 1. x, a\\b & "q" # {cite}`y` | $z$ ~ !'
    tokens = MarkdownIt().parseInline(plain(text))[0].children
    assert [token.type for token in tokens if token.type not in ("text", "text_special")] == []
    assert "".join(token.content for token in tokens) == text


def test_an_option_in_quotes_reads_back_as_it_was():
    import yaml

    text = 'a "b": c # d \\ e'
    assert yaml.safe_load(quoted(text)) == text


def test_a_code_block_outlasts_the_fences_it_contains():
    assert literal("```\nx\n```") == "````text\n```\nx\n```\n````\n"


def test_a_table_aligns_its_number_columns():
    assert table(["a", "n"], [["x", "1"]], numbers=[1]) == "| a | n |\n| --- | ---: |\n| x | 1 |\n"


def test_both_roles_become_numbers():
    text = "Paper {paper}`exact.frac_removed`, run {measured}`exact.frac_removed`."
    assert fill_numbers(text, "page", MEASURED) == r"Paper 75 \%, run 11\.3 \%."


def test_a_number_of_a_chapter_that_has_not_run_is_a_dash():
    assert fill_numbers("{measured}`exact.frac_removed`", "page", {}) == "–"


def test_an_unknown_key_names_the_page_and_a_near_key():
    with pytest.raises(ConfigError, match=r"book/index\.md.*exact\.frac_removd.*Did you mean exact\.frac_removed"):
        fill_numbers("{paper}`exact.frac_removd`", "book/index.md", {})


def test_roles_in_code_stay_and_those_in_an_admonition_are_filled():
    text = (
        "``{paper}`a.b` `` stays\n"
        "```text\n{paper}`a.b`\n```\n"
        "```{admonition} Solution\n:class: dropdown\n{measured}`exact.frac_removed`\n```\n"
        ":::{note}\n{measured}`exact.frac_removed`\n:::\n"
        "```python\nx = '{paper}`a.b`'\n```\n"
    )
    filled = fill_numbers(text, "page", {})
    assert filled.count("{paper}`a.b`") == 3
    assert filled.count("–") == 2


def test_links_of_the_landing_page_are_read_from_one_folder_up():
    text = "[a](how-to-read.md) [b](../notebooks/01.ipynb) [c](/x.md) [d](https://e.org/f) [g](#h)\n\n[r]: status.md\n"
    assert relink(text, "book") == (
        "[a](book/how-to-read.md) [b](notebooks/01.ipynb) [c](/x.md) [d](https://e.org/f) [g](#h)"
        "\n\n[r]: book/status.md\n"
    )
