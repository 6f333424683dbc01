"""Personal data and secrets give way to placeholders (paper section 2.1.1): e-mail, IP, keys, tokens, passwords.

The paper names passwords, e-mail addresses and IP addresses, found by regular expressions, and shows `<name>` and
`<password>`. Its expressions are not public, so ours are data (rules.toml): each says what it looks for and why,
with texts it must change and near misses it must not. They run in RE2: linear time, whatever the text.

A file is searched by a rule only if it has one of the rule's hints. Where finds overlap, the rule that comes first in
the file of rules has the place. What is found is counted by kind and never told.
"""

from bisect import bisect
from collections.abc import Iterator

import polars as pl

from opencoder_lib.files import remaining
from opencoder_lib.languages import language_of
from opencoder_lib.refine import edits
from opencoder_lib.refine.edits import SPANS
from opencoder_lib.refine.pii.checks import Find
from opencoder_lib.refine.pii.python_syntax import Place, kept_syntax, replaced
from opencoder_lib.refine.pii.rules import PiiRule, PiiRules, compiled, load_pii_rules

TRANSFORM = "personal_data"
# On real files the second round finds nothing; a text made for it might ask for ever more.
MORE_ROUNDS = 4


def redact_personal_data(files: pl.DataFrame, rules: PiiRules | None = None) -> pl.DataFrame:
    """The files with personal data and secrets replaced by placeholders: `<email>`, `<ip>`, `<password>`, ...

    Quotes stay, so what was a string is one; Python that compiled still does. Doing it twice changes nothing more.
    """
    return edits.apply(files, find_personal_data(files, rules), TRANSFORM).files


def find_personal_data(files: pl.DataFrame, rules: PiiRules | None = None) -> pl.DataFrame:
    """Where personal data and secrets stand in the files that are still in: a frame as SPANS has it, kind by type.

    rules: those of the library by default. Finds of a file are in order and do not overlap. A file without a language
    is judged by its path.
    """
    here = remaining(files).filter(pl.col("text").is_not_null()).select("doc_id", "text", "path", "language")
    languages = [known or language_of(path) for path, known in here.select("path", "language").iter_rows()]
    finder, rows = _Finder(rules or load_pii_rules()), []
    for row, places in sorted(_all_places(finder, here["text"], languages).items()):
        if languages[row] == "python":
            places = kept_syntax(here["text"][row].encode(), places)
        rows += [(here["doc_id"][row], *place) for place in places]
    return pl.DataFrame(rows, schema=SPANS, orient="row")


def _all_places(finder: "_Finder", texts: pl.Series, languages: list[str]) -> dict[int, list[Place]]:
    """By row the places of what is found in its text, and then in its text as redacted.

    What stands beside a find may look different without it: or else a second redaction would change more than one.
    """
    found = finder.search(texts, languages)
    changed = list(found)
    for _ in range(MORE_ROUNDS):
        redacted = [replaced(texts[row].encode(), found[row]).decode() for row in changed]
        more = finder.search(pl.Series(redacted, dtype=pl.String), [languages[row] for row in changed])
        for at, places in more.items():
            known = found[changed[at]]
            found[changed[at]] = sorted(known + _before_redaction(places, known))
        changed = [changed[at] for at in more]
    return found


def _before_redaction(places: list[Place], known: list[Place]) -> list[Place]:
    """Places in a text whose `known` places have been replaced as places in the text before; both in order."""
    moved, at, longer = [], 0, 0
    for start, end, *what in places:
        while at < len(known) and known[at][0] + longer < start:
            longer += len(known[at][2].encode()) - (known[at][1] - known[at][0])
            at += 1
        moved.append((start - longer, end - longer, *what))
    return moved


def candidates(rule: PiiRule, texts: pl.Series, languages: list[str]) -> list[int]:
    """The rows whose text has a hint of the rule, in languages in which it holds."""
    # Rust's regex searches literals at many gigabytes a second.
    rows = texts.str.contains(rule.hint).arg_true() if rule.hint else range(len(texts))
    return [row for row in rows if not rule.languages or languages[row] in rule.languages]


class _Finder:
    """Runs rules over texts."""

    def __init__(self, rules: PiiRules):
        self.rules, self.words = rules, rules.words
        self.compiled = {rule.id: compiled(rule.pattern) for rule in rules}
        self.placeholders = [placeholder.encode() for placeholder in rules.placeholders.values()]

    def search(self, texts: pl.Series, languages: list[str]) -> dict[int, list[Place]]:
        """By row the places that the rules find, in order, each claimed by the first rule that found it."""
        data: dict[int, bytes] = {}
        found: dict[int, list[list[Place]]] = {}
        for rule in self.rules:
            for row in candidates(rule, texts, languages):
                if row not in data:
                    data[row] = texts[row].encode()
                if places := list(self.places(rule, data[row])):
                    found.setdefault(row, []).append(places)
        return {row: _without_overlaps(by_rule) for row, by_rule in found.items()}

    def places(self, rule: PiiRule, data: bytes) -> Iterator[Place]:
        """The finds of one rule, in order, none overlapping another."""
        search, at = self.compiled[rule.id].search, 0
        while match := search(data, at):
            start, end = max(match.span(group) for group in rule.groups)
            name = match.group(rule.name).decode("utf-8", "replace") if rule.name else ""
            if start < end and self._holds(rule, Find(data, start, end, name)):
                yield start, end, rule.placeholder, rule.kind
            # What follows the value may be what the next match begins with.
            at = max(end, at + 1)

    def _holds(self, rule: PiiRule, find: Find) -> bool:
        # What holds a placeholder has been redacted.
        value = find.data[find.start : find.end]
        if any(placeholder in value for placeholder in self.placeholders):
            return False
        return all(check(find, self.words) for check in rule.checks)


def _without_overlaps(by_rule: list[list[Place]]) -> list[Place]:
    """The places of a file in order, each claimed by the first rule that found it. Those of one rule never overlap."""
    taken: list[Place] = []
    for places in by_rule:
        starts = [place[0] for place in taken]
        taken = sorted(taken + [place for place in places if _is_free(taken, starts, place)])
    return taken


def _is_free(taken: list[Place], starts: list[int], place: Place) -> bool:
    at = bisect(starts, place[0])
    return (at == 0 or taken[at - 1][1] <= place[0]) and (at == len(taken) or place[1] <= starts[at])
