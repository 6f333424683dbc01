"""Small pieces of MyST: safe text, tables, and the two roles that put numbers into prose.

{paper}`group.name` becomes the reported value, {measured}`group.name` what this profile's run measured.
"""

import re
from collections.abc import Callable, Iterable

from opencoder_lib.errors import ConfigError, CookbookError
from opencoder_lib.paper import fact, format_value

# All ASCII punctuation but , ; ' " / ? @, which never begin markup.
PUNCTUATION = re.compile(r"([!#$%&()*+\-.:<=>\[\\\]^_`{|}~])")
ROLE = re.compile(r"(?<!`)``(?!`).+?(?<!`)``(?!`)|\{(paper|measured)\}`([^`]*)`", re.DOTALL)
FENCE = re.compile(r"^\s*(`{3,}|~{3,}|:{3,})\s*(.*)$")
LINK = re.compile(r"(\]\(|\]:\s+)((?!\w+:)[^)\s#:/][^)\s#]*)")
NOT_RUN = "–"


def escaped(text: str) -> str:
    """`text` with every character that Markdown could read as markup escaped."""
    return PUNCTUATION.sub(r"\\\1", text)


def plain(text: str) -> str:
    """`text` on one line and escaped: safe in a paragraph, a table cell or a caption."""
    return escaped(" ".join(str(text).split()))


def quoted(text: str) -> str:
    """`text` as the value of a directive option: one line in double quotes."""
    line = " ".join(str(text).split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{line}"'


def table(head: Iterable[str], rows: Iterable[Iterable[str]], numbers: Iterable[int] = ()) -> str:
    """A pipe table; cells are Markdown already (see `plain`). `numbers` are the columns aligned to the right."""
    head = list(head)
    rule = ["---:" if index in set(numbers) else "---" for index in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows]) + "\n"


def literal(text: str, language: str = "text") -> str:
    """A code block that shows `text` as it is, whatever fences it contains."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def fill_numbers(text: str, place: str, measured: dict[str, tuple]) -> str:
    """Replace both roles in a page or a prose cell; code blocks and ``doubled backticks`` stay as they are.

    measured: key -> (value, unit) of the chapters that have run. Raises ConfigError naming `place` on an unknown
    key.
    """
    return _outside_code(text, lambda prose: ROLE.sub(lambda match: _number(match, place, measured), prose))


def _number(match: re.Match, place: str, measured: dict[str, tuple]) -> str:
    role, key = match.groups()
    if role is None:
        return match[0]
    try:
        reported = fact(key)
    except CookbookError as error:
        raise ConfigError(f"{place}: {{{role}}}`{key}`: {error}") from None
    if role == "paper":
        return plain(reported.text)
    return plain(format_value(*measured[key])) if key in measured else NOT_RUN


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Apply `change` to the stretches of `text` that are not in a code block; most directives hold prose."""
    pieces: list[str] = []
    prose: list[str] = []
    fences: list[tuple[str, bool]] = []
    for line in text.splitlines(keepends=True):
        fence = FENCE.match(line)
        in_code = bool(fences) and not fences[-1][1]
        if fence and fences and not fence[2] and fence[1].startswith(fences[-1][0]):
            fences.pop()
        elif fence and not in_code:
            fences.append((fence[1], _holds_prose(*fence.groups())))
        if in_code or (fences and not fences[-1][1]):
            pieces += [change("".join(prose)), line]
            prose = []
        else:
            prose.append(line)
    return "".join(pieces) + change("".join(prose))


def _holds_prose(marks: str, info: str) -> bool:
    if marks.startswith(":"):
        return True
    return info.startswith("{") and not info.startswith(("{code", "{math", "{raw", "{literal", "{eval-rst"))


def relink(text: str, folder: str) -> str:
    """Links of a page in `folder` as they must read when the page stands one level higher."""

    def moved(match: re.Match) -> str:
        target = match[2]
        return match[1] + (target.removeprefix("../") if target.startswith("../") else f"{folder}/{target}")

    return _outside_code(text, lambda prose: LINK.sub(moved, prose))
