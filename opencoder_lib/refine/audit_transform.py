"""What transforms changed and what they left alone: shares by language, proofs on this corpus, rates of the rules.

`before` and `after` are file frames around a transform, `spans` what it replaced, as offsets in the texts of `before`.
Counted are real files that are still in. What was replaced by a placeholder is never returned.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable

import polars as pl

from opencoder_lib.files import in_hash_order, real, remaining
from opencoder_lib.intervals import wilson
from opencoder_lib.refine.copyright.heads import head_comments, syntax_of
from opencoder_lib.refine.edits import apply
from opencoder_lib.refine.pii import find_personal_data
from opencoder_lib.refine.pii.checks import Find
from opencoder_lib.refine.pii.redact import candidates
from opencoder_lib.refine.pii.rules import PiiRules, compiled, load_pii_rules
from opencoder_lib.refine.pii.score import labelled_score
from opencoder_lib.report import may_quote
from opencoder_lib.syntax.scanner import split

ALL = "all code files"
# Programs whose comments the filter's scanner tells from code: it is a witness for other files than Python.
WITNESSED = ("c", "cpp", "csharp", "go", "java", "javascript", "kotlin", "php", "rust", "scala", "swift", "typescript")
TOLD_WIDTH = 72
# The line of a notice that tells most, best first.
TELLING = [re.compile(word, re.IGNORECASE) for word in (r"copyright|\(c\)|©", "spdx", "licen[cs]e", "author")]
DECORATION = " \t\r#*/-;%!\"'=+|.<"
WHOLE, PART = "a whole comment", "part of a comment, the rest stays"
# Files of a language that are looked at for one to show.
CANDIDATES = 20
CHECKS = {"check": pl.String, "files": pl.Int64, "hold": pl.Int64}


def judged(files: pl.DataFrame) -> pl.DataFrame:
    """The files that headline shares count: real ones that are still in."""
    return remaining(real(files))


# ---- notices ----


def notices_by_language(before: pl.DataFrame, edits: pl.DataFrame) -> pl.DataFrame:
    """How many code files of each language carried a notice; the sum of all in the first row, then most files first.

    edits: of the notices alone. Columns: language, files, with_notice, frac_files, low, high (95 % Wilson),
    cut_in_kB, frac_bytes_cut (of the bytes of the language).
    """
    cut = edits.group_by("doc_id").agg(cut=pl.col("bytes_cut").sum())
    code = judged(before).filter(pl.col("category") == "code").join(cut, on="doc_id", how="left")
    found = pl.col("cut").is_not_null().sum().cast(pl.Int64)
    counts = (pl.len().cast(pl.Int64).alias("files"), found.alias("with_notice"), pl.col("cut", "n_bytes").sum())
    each = code.group_by("language").agg(*counts).sort("files", "language", descending=[True, False])
    total = code.select(pl.lit(ALL).alias("language"), *counts)
    rows = pl.concat([total, each.select(total.columns)]).filter(pl.col("files") > 0)
    return rows.select(
        *("language", "files", "with_notice", *_shares(rows, "with_notice", "files", "frac_files")),
        cut_in_kB=pl.col("cut") / 1000,
        frac_bytes_cut=pl.when(pl.col("n_bytes") > 0).then(pl.col("cut") / pl.col("n_bytes")),
    )


def _shares(rows: pl.DataFrame, hits: str, count: str, name: str = "share") -> list[pl.Series]:
    """The share of each row and the ends of its 95 % interval; null where nothing was counted."""
    pairs = list(rows.select(hits, count).iter_rows())
    shares = [hit / n if n else None for hit, n in pairs]
    ends = [wilson(hit, n) if n else (None, None) for hit, n in pairs]
    columns = {name: shares, "low": [low for low, _ in ends], "high": [high for _, high in ends]}
    return [pl.Series(column, values, dtype=pl.Float64) for column, values in columns.items()]


def frequent_notices(before: pl.DataFrame, spans: pl.DataFrame, n: int = 8) -> pl.DataFrame:
    """The notices of most code files, those with the same telling line together: notice, files, repos, wordings,
    size_in_kB. Addresses in the line are replaced."""
    same = (
        _cut_texts(before, spans)
        .group_by("notice")
        .agg(
            files=pl.col("doc_id").n_unique().cast(pl.Int64),
            repos=pl.col("repo").n_unique().cast(pl.Int64),
            wordings=pl.col("cut").n_unique().cast(pl.Int64),
            size_in_kB=pl.col("size_in_B").sum() / 1000,
        )
    )
    return same.sort("files", "notice", descending=[True, False]).head(n)


def longest_notices(before: pl.DataFrame, spans: pl.DataFrame, n: int = 5) -> pl.DataFrame:
    """The largest cuts in code, one a repository: path, repo, size_in_B and the telling line."""
    texts = _cut_texts(before, spans).sort("size_in_B", "doc_id", descending=[True, False])
    top = texts.unique("repo", keep="first", maintain_order=True).head(n)
    return top.select("path", "repo", "size_in_B", "notice")


def _cut_texts(before: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """One row a span of a code file: where it is from, what was cut, how many bytes, and the line that tells most."""
    files = judged(before).filter(pl.col("category") == "code").select("doc_id", "path", "repo", "text")
    rows = spans.join(files, on="doc_id", how="inner").sort("doc_id", "start")
    places = rows.select("text", "start", "end").iter_rows()
    cut = [text.encode("utf-8", "surrogatepass")[start:end].decode("utf-8", "replace") for text, start, end in places]
    told = pl.Series("notice", _redacted([_telling_line(text) for text in cut]), dtype=pl.String)
    size = (pl.col("end") - pl.col("start")).alias("size_in_B")
    return rows.drop("text").with_columns(pl.Series("cut", cut, dtype=pl.String), told, size)


def _telling_line(notice: str) -> str:
    lines = [line.lstrip(DECORATION).rstrip(" \t\r*#/-=") for line in notice.splitlines()]
    lines = [line for line in lines if any(map(str.isalnum, line))] or [""]
    line = next((line for word in TELLING for line in lines if word.search(line)), lines[0])
    return line if len(line) <= TOLD_WIDTH else line[:TOLD_WIDTH] + " …"


def _redacted(lines: list[str]) -> list[str]:
    """The lines with personal data replaced, each as a file of its own."""
    ids = pl.Series([f"{at:08}" for at in range(len(lines))], dtype=pl.String)
    constant = {name: pl.lit(value, dtype=pl.String) for name, value in (("path", "line.txt"), ("removed_by", None))}
    frame = pl.DataFrame({"doc_id": ids, "text": pl.Series(lines, dtype=pl.String)})
    frame = frame.with_columns(**constant, language=pl.lit("text"))
    return apply(frame, find_personal_data(frame), "personal_data").files["text"].to_list()


def extent_of_cuts(before: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Whether whole comments of code files went or parts of them: cut, files, spans, cut_in_kB, and left_in_kB,
    what stays of the comments that were cut in part."""
    counts = {kind: {"files": set(), "spans": 0, "cut": 0, "left": {}} for kind in (WHOLE, PART)}
    for doc_id, start, end, left, place in _comments_of(before, spans):
        found = counts[PART if left else WHOLE]
        found["files"].add(doc_id)
        found["spans"] += 1
        found["cut"] += end - start
        found["left"][place] = left
    rows = [
        (kind, len(c["files"]), c["spans"], c["cut"] / 1000, sum(c["left"].values()) / 1000)
        for kind, c in counts.items()
    ]
    names = {"cut": pl.String, "files": pl.Int64, "spans": pl.Int64}
    return pl.DataFrame(rows, schema={**names, "cut_in_kB": pl.Float64, "left_in_kB": pl.Float64}, orient="row")


def _comments_of(before: pl.DataFrame, spans: pl.DataFrame):
    """Each span with what is left of the comment it lies in, in bytes with a letter in them: doc_id, start, end, left,
    the comment's place."""
    files = judged(before).filter(pl.col("category") == "code").select("doc_id", "language", "text")
    places = spans.sort("doc_id", "start").group_by("doc_id", maintain_order=True).agg("start", "end")
    joined = files.join(places, on="doc_id", how="inner")
    for doc_id, language, text, starts, ends in joined.select("doc_id", "language", "text", "start", "end").iter_rows():
        data = text.encode("utf-8", "surrogatepass")
        head = data[: max(ends)].decode("utf-8", "replace")
        comments = [
            (len(text[: comment.start].encode()), len(text[: comment.end].encode()))
            for comment in head_comments(text, syntax_of(language))
            if comment.start < len(head)
        ]
        for start, end in zip(starts, ends, strict=True):
            near = [(a, b) for a, b in comments if a < end and start < b]
            left = 0
            if near:
                a, b = near[0][0], near[-1][1]
                inside = [(max(s, a), min(e, b)) for s, e in zip(starts, ends, strict=True) if s < b and a < e]
                rest = _without(data[a:b], [(s - a, e - a) for s, e in inside])
                left = len(rest) if any(map(str.isalnum, rest.decode("utf-8", "replace"))) else 0
            yield doc_id, start, end, left, (doc_id, near[0][0] if near else start)


def _without(data: bytes, places: list[tuple[int, int]]) -> bytes:
    edges = [0, *(edge for place in places for edge in place), len(data)]
    return b"".join(data[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))


def before_and_after(before: pl.DataFrame, after: pl.DataFrame, spans: pl.DataFrame, n: int = 3) -> pl.DataFrame:
    """Files to show: of each language the one with the longest cut in part of a comment, else of a whole one, most
    cut languages first; with `new_text` and `cut`.

    Only code under licences that permit quoting, without personal data before, cut by 100 to 800 bytes in one place.
    """
    kinds = [(name, start, PART if left else WHOLE) for name, start, _, left, _ in _comments_of(before, spans)]
    kinds = pl.DataFrame(kinds, schema={"doc_id": pl.String, "start": pl.Int64, "cut": pl.String}, orient="row")
    size = spans.filter(pl.len().over("doc_id") == 1).with_columns(size=pl.col("end") - pl.col("start"))
    size = size.filter(pl.col("size").is_between(100, 800)).join(kinds, on=["doc_id", "start"])
    files = judged(before).join(size.select("doc_id", "size", "cut"), on="doc_id")
    quotable = [name for name in files["license"].unique() if may_quote(name)]
    files = files.filter(pl.col("license").is_in(quotable)).with_columns(cuts=pl.len().over("language"))
    order = files.sort("cuts", "language", "cut", "size", "doc_id", descending=[True, False, True, True, False])
    order = order.filter(pl.int_range(pl.len()).over("language") < CANDIDATES)
    order = order.join(find_personal_data(order), on="doc_id", how="anti", maintain_order="left")
    chosen = order.unique("language", keep="first", maintain_order=True).head(n).drop("cuts", "size")
    return chosen.join(after.select("doc_id", new_text="text"), on="doc_id", how="left", maintain_order="left")


# ---- proofs ----


def bytes_outside(before: pl.DataFrame, after: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Whether every byte outside the spans stayed, in order: check, files, hold, for all files that were changed."""
    places = spans.sort("doc_id", "start").group_by("doc_id", maintain_order=True).agg("start", "end", "replacement")
    pairs = judged(before).select("doc_id", "text").join(places, on="doc_id", how="inner")
    pairs = pairs.join(after.select("doc_id", new="text"), on="doc_id", how="left")
    hold = sum(_kept(*row) for row in pairs.select("text", "new", "start", "end", "replacement").iter_rows())
    return pl.DataFrame([("every byte outside the cuts is there", pairs.height, hold)], schema=CHECKS, orient="row")


def _kept(old: str, new: str, starts: list[int], ends: list[int], replacements: list[str]) -> bool:
    """Whether the new text is the stretches of the old one between the spans, with the replacements between them."""
    source, result = (text.encode("utf-8", "surrogatepass") for text in (old, new))
    at = place = 0
    for start, end, replacement in zip(starts, ends, replacements, strict=True):
        expected = source[at:start] + replacement.encode()
        if result[place : place + len(expected)] != expected:
            return False
        at, place = end, place + len(expected)
    return result[place:] == source[at:]


def same_programs(
    before: pl.DataFrame, after: pl.DataFrame, ids: Iterable[str], most: int = 200, constants: bool = True
) -> pl.DataFrame:
    """Whether changed files are the same programs as before: check, files, hold.

    Of Python at most `most` files, chosen by a hash of their ids, are parsed before and after by Python itself and the
    trees compared, with constants=False without the values of constants; files that did not parse before are left out.
    Other programs are compared by what the scanner of the filter calls code, white space aside.
    """
    wanted = pl.Series(list(ids), dtype=pl.String).unique()
    pairs = judged(before).filter(pl.col("doc_id").is_in(wanted.implode())).select("doc_id", "language", "text")
    pairs = pairs.join(after.select("doc_id", new="text"), on="doc_id", how="left")
    python = in_hash_order(pairs.filter(pl.col("language") == "python"), "same-programs").head(most)
    texts = python.select("text", "new").iter_rows()
    trees = [(tree, new) for old, new in texts if (tree := _tree(old, constants)) is not None]
    name = "Python: the same syntax tree" + ("" if constants else ", values of constants aside")
    rows = [(name, len(trees), sum(tree == _tree(new, constants) for tree, new in trees))]
    if constants:
        others = pairs.filter(pl.col("language").is_in(WITNESSED)).select("text", "new", "language")
        same = [_code(old, name) == _code(new, name) for old, new, name in others.iter_rows()]
        rows.append(("C, JavaScript and the like: the same code between comments", len(same), sum(same)))
    return pl.DataFrame(rows, schema=CHECKS, orient="row")


def _tree(text: str, constants: bool) -> str | None:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in () if constants else ast.walk(tree):
        if isinstance(node, ast.Constant):
            node.value = type(node.value).__name__
    return ast.dump(tree)


def _code(text: str, language: str) -> str:
    return "".join(split(text, language).separate_code.split())


# ---- personal data ----


def places_by_language(before: pl.DataFrame, edits: pl.DataFrame, n: int = 8) -> pl.DataFrame:
    """Where personal data stands: language, files (of all), with_data, places, frac_files; most places first."""
    found = edits.group_by("doc_id").agg(places=pl.col("n").sum())
    files = judged(before).join(found, on="doc_id", how="left")
    counts = files.group_by("language").agg(
        files=pl.len().cast(pl.Int64),
        with_data=pl.col("places").is_not_null().sum().cast(pl.Int64),
        places=pl.col("places").sum(),
    )
    top = counts.filter(pl.col("places") > 0).sort("places", "language", descending=[True, False]).head(n)
    return top.with_columns(frac_files=pl.col("with_data") / pl.col("files"))


def outcomes(files: pl.DataFrame, spans: pl.DataFrame, rules: PiiRules | None = None) -> pl.DataFrame:
    """What became of all that a pattern of the rules matches: kind, check, what_must_hold, places, files.

    `check` is the first one that refused, or null for what was replaced; most places first. spans: those of `files`.
    Matches that an earlier rule has claimed are counted once more under their own kind where a check refuses them.
    """
    here = judged(files)
    done = spans.join(here.select("doc_id"), on="doc_id", how="semi").group_by("kind")
    counts = (pl.len().cast(pl.Int64).alias("places"), pl.col("doc_id").n_unique().cast(pl.Int64).alias("files"))
    replaced = done.agg(*counts).with_columns(check=pl.lit(None, pl.String), what_must_hold=pl.lit("(replaced)"))
    places, where = Counter(), {}
    for kind, check, row in _refusals(here, rules or load_pii_rules()):
        places[kind, check] += 1
        where.setdefault((kind, check), set()).add(row)
    rows = [
        (kind, check.__name__, " ".join((check.__doc__ or "").split()), n, len(where[kind, check]))
        for (kind, check), n in places.items()
    ]
    names = {"kind": pl.String, "check": pl.String, "what_must_hold": pl.String, "places": pl.Int64, "files": pl.Int64}
    refused = pl.DataFrame(rows, schema=names, orient="row")
    both = pl.concat([replaced.select(list(names)), refused])
    return both.sort("places", "kind", "check", descending=[True, False, False], nulls_last=True)


def _refusals(files: pl.DataFrame, rules: PiiRules):
    """(kind, check, row) of every match that a check refuses."""
    texts, data = files["text"], {}
    for rule in rules:
        search = compiled(rule.pattern).search
        for row in candidates(rule, texts, files["language"].to_list()):
            if row not in data:
                data[row] = texts[row].encode("utf-8", "surrogatepass")
            at = 0
            while match := search(data[row], at):
                start, end = max(match.span(group) for group in rule.groups)
                name = match.group(rule.name).decode("utf-8", "replace") if rule.name else ""
                find = Find(data[row], start, end, name)
                failed = next((check for check in rule.checks if not check(find, rules.words)), None)
                if failed and start < end:
                    yield rule.kind, failed, row
                at = max(end, at + 1)


def near_misses(n: int = 3, longest: int = 64, rules: PiiRules | None = None) -> pl.DataFrame:
    """Made-up texts that the rules leave alone, `n` of each placeholder: would_become, stays."""
    rules = rules or load_pii_rules()
    kept: dict[str, list[str]] = {}
    for rule in rules:
        short = [text for text in rule.keeps if len(text) <= longest and "\n" not in text]
        kept.setdefault(rule.placeholder, []).extend(short)
    rows = [(placeholder, text) for placeholder, texts in kept.items() for text in _spread(texts, n)]
    return pl.DataFrame(rows, schema={"would_become": pl.String, "stays": pl.String}, orient="row")


def _spread(texts: list[str], n: int) -> list[str]:
    """At most `n` of the texts, from all over the list."""
    step = max(1, len(texts) // n)
    return texts[::step][:n]


def placeholders_in_context(planted: pl.DataFrame, redacted: pl.DataFrame) -> pl.DataFrame:
    """A line of a planted file for each placeholder, as it reads afterwards, from changing kinds of files: placeholder,
    file, line."""
    pairs = planted.select("doc_id", "path", "text").join(redacted.select("doc_id", new="text"), on="doc_id")
    rows = []
    for turn, placeholder in enumerate(dict.fromkeys(load_pii_rules().placeholders.values())):
        here = pairs.filter(pl.col("new").str.contains(placeholder, literal=True))
        if here.height:
            row = here.row(turn % here.height, named=True)
            line = next(line for line in row["new"].splitlines() if placeholder in line)
            rows.append((placeholder, row["path"].rpartition("/")[2], line.strip()))
    return pl.DataFrame(rows, schema={"placeholder": pl.String, "file": pl.String, "line": pl.String}, orient="row")


def rates(planted: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """How often the rules are right, by placeholder and in all: group, what, hits, count, share, low, high (Wilson).

    planted: of corpora.sensitive.plant_sensitive, spans: what was found in it. `what` is 'planted and found',
    'labelled and found' (recall) or 'found and labelled' (precision), the last two of the list labelled by hand, where
    the same bytes count whatever their kind is called.
    """
    group = pl.col("kind").replace_strict(load_pii_rules().placeholders, default=None, return_dtype=pl.String)
    wanted = planted.select("doc_id", kind="planted_kinds").explode("kind").group_by("doc_id", "kind").len("count")
    found = spans.group_by("doc_id", "kind").len("hits")
    pairs = wanted.join(found, on=["doc_id", "kind"], how="left").fill_null(0)
    pairs = pairs.with_columns(hits=pl.min_horizontal("hits", "count"))
    score = labelled_score().filter(pl.col("kind") != "all")
    hit = (pl.col("labelled") - pl.col("missed")).alias("hits")
    parts = {
        "planted and found": pairs.select("kind", "hits", "count"),
        "labelled and found": score.select("kind", hit, count="labelled"),
        "found and labelled": score.select("kind", hit, count=hit + pl.col("false_alarms")),
    }
    frames = []
    for what, frame in parts.items():
        each = frame.group_by(group=group).agg(pl.col("hits", "count").sum().cast(pl.Int64)).sort("group")
        total = frame.select(pl.lit("all").alias("group"), pl.col("hits", "count").sum().cast(pl.Int64))
        frames.append(pl.concat([total, each]).with_columns(what=pl.lit(what)))
    rows = pl.concat(frames).filter(pl.col("count") > 0)
    return rows.select("group", "what", "hits", "count", *_shares(rows, "hits", "count"))


def false_finds(planted: pl.DataFrame, spans: pl.DataFrame) -> tuple[int, int]:
    """How many finds in planted files were not planted, and how many near misses there were to fall for."""
    return spans.height - planted["planted_kinds"].list.len().sum(), int(planted["near_misses"].sum())
