"""What a licence is called, whether it is a permissive one, and what a text, a manifest or a header says about it.

The facts are in licences.toml; expressions are read by the library license-expression and whole texts compared with
those of the library identify. Nothing here is legal advice: a curation rule needs an answer that is the same each time,
and null where nobody knows.
"""

import configparser
import json
import re
import tomllib
from collections.abc import Iterable
from email.parser import HeaderParser
from functools import cache, lru_cache
from importlib.resources import files as package_files

import polars as pl

MAX_EXPRESSION = 500  # characters; a longer value is a text or an attack, not an expression
MAX_TEXT = 200_000  # characters of a licence text that are looked at: twelve times the GPL
MAX_MANIFEST = 1_000_000
MAX_DOTS = 200  # in a key of TOML; the standard parser takes time and memory that grow with their square
EDIT_SHARE = 0.05  # a text within this edit distance of a known one is that licence, as identify has it
NO_STATEMENT = frozenset({"", "unknown", "none", "noassertion", "null", "n/a", "other", "dual license", "osi approved"})


@cache
def _table() -> dict:
    return tomllib.loads((package_files("opencoder_lib") / "licences.toml").read_text(encoding="utf-8"))


@cache
def _spdx():
    # Imported when asked for: the library reads an index of 2,500 licences.
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


# ---- names and expressions ----


def _key(name: str) -> str:
    """The form in which free-text names are compared: 'apache 2' of 'The Apache License, Version 2.0'."""
    key = name.casefold().replace("licence", "license").rpartition("::")[2]
    key = re.sub(r"(?<![a-z])(?:version|ver\.?|v\.?)\s*(?=\d)|(?<=[a-z]l)v(?=\d)", " ", key)
    key = re.sub(r",?\s*\(?or (?:\(at your option\) )?(?:any )?(?:later|newer|greater)(?: versions?)?\)?", "+", key)
    words = re.sub(r"[^a-z0-9.+*/]+", " ", re.sub(r"(?<=\d)\.0(?![\d.])", "", key)).replace(" +", "+").split()
    return " ".join(word for word in words if word not in ("the", "license", "licensed", "under"))


@cache
def _names() -> dict[str, str]:
    return {_key(name): spdx for spdx, names in _table()["names"].items() for name in (spdx, *names)}


def spdx(name: str | None) -> str | None:
    """The canonical SPDX expression of what metadata says, null where nobody knows it.

    Reads SPDX expressions in any case, with old ids and with `/` for OR as Cargo had it, trove classifiers, and the
    free-text names of licences.toml, also as parts of an expression. Equal expressions come out equal: parts are
    sorted, and repeated or implied ones dropped. Several names with commas between them hold all together.
    """
    # Never cut: the start of an expression says something else than the whole.
    return _looked_up(" ".join(name.split()).strip("\"'")) if name and len(name) <= MAX_EXPRESSION else None


@lru_cache(maxsize=100_000)
def _looked_up(text: str) -> str | None:
    # R's way to say "or later": GPL (>= 2).
    text = re.sub(r"\(\s*>=?\s*([\d.]+)\s*\)", r"\1+", text)
    key = _key(text)
    if key in NO_STATEMENT:
        return None
    return _canonical(_names().get(key) or text) or _canonical(_translated(text))


def _canonical(expression: str) -> str | None:
    try:
        parsed = _spdx().parse(expression, validate=True, strict=True)
        return parsed.simplify().render() if parsed is not None else None
    # A malformed expression ends this parser in errors of many kinds, failed assertions and wrong indices among them.
    except Exception:
        return None


def _translated(text: str) -> str:
    """The expression with the names in it replaced by ids: 'Apache-2.0 OR MIT' of 'Apache 2/MIT'."""
    parts = re.split(r"(\s+(?:and|or|with)\s+|\s*[()/,;|&]+\s*)", text, flags=re.IGNORECASE)
    signs = {"/": " OR ", "|": " OR ", "||": " OR ", ",": " AND ", ";": " AND ", "&": " AND ", "&&": " AND "}
    words = (signs.get(part.strip(), part) if odd % 2 else _part(part) for odd, part in enumerate(parts))
    return "".join(words)


def _part(name: str) -> str:
    # `X+` is X or later: where SPDX has no id for that, X is what surely holds.
    stripped = name.strip()
    known = _names().get(_key(stripped)) if stripped else None
    if known is None and stripped.endswith("+") and _canonical(stripped) is None:
        return stripped[:-1]
    return known or name


def is_permissive(expression: str | None) -> bool:
    """Whether a licence asks for no more than notices: OR needs one such side, AND all; an unknown one is not.

    An exception (WITH) is judged by its licence, since it only adds permissions: Apache-2.0 WITH LLVM-exception is
    permissive, GPL-2.0-only WITH Classpath-exception-2.0 is not. The list is licences.toml's.
    """
    known = spdx(expression)
    return known is not None and _permits(known)


@lru_cache(maxsize=100_000)
def _permits(expression: str) -> bool:
    return _judged(_spdx().parse(expression))


@cache
def permissive_ids() -> frozenset[str]:
    """The SPDX ids that count as permissive."""
    return frozenset(_table()["permissive"])


def _judged(node) -> bool:
    if hasattr(node, "license_symbol"):
        return node.license_symbol.key in permissive_ids()
    if hasattr(node, "key"):
        return node.key in permissive_ids()
    sides = [_judged(side) for side in node.args]
    return any(sides) if node.operator.strip() == "OR" else all(sides)


def joined(names: Iterable[str | None], sign: str = "AND") -> str | None:
    """One canonical expression of several, null where none is known; unknown ones are passed over."""
    known = sorted({found for found in map(spdx, names) if found})
    return spdx(f" {sign} ".join(f"({found})" for found in known)) if known else None


@cache
def file_pattern(kind: str) -> str:
    """The regular expression for names of files: 'licence', 'about_parts', 'choice' or 'manifest'."""
    return _table()["files"][kind]


# ---- texts ----


def licence_of_text(text: str) -> str | None:
    """The SPDX expression of a licence file's text, null where it is none that we know.

    A text within 5 % (edits) of a known one is that licence, copyright lines and layout aside; else every licence whose
    phrases are in it holds (AND); else its SPDX header. Conditions that people add to a known text count as one
    licence more. The first 200,000 characters are looked at.
    """
    words = _words(text[:MAX_TEXT])
    found = _nearest(words) or joined(_by_phrases(words)) or licence_of_header(text)
    if found is None or is_permissive(found):
        added = (name for name, phrases in _table()["conditions"].items() if any(part in words for part in phrases))
        return joined([found, *added])
    return found


def _words(text: str) -> str:
    """Lower-case words and digits with one space between: the same for any layout, quotes and copyright holders."""
    # A form feed before "Copyright" is a page break in the texts of the GPL.
    kept = re.sub(r"(?im)^[^\w\n]*(?:copyright|\(c\)|©)[^\n]*(?:\d{4}|\(c\)|©|<|\[)[^\n]*$", "", text)
    return " ".join(re.findall(r"[a-z0-9]+", kept.lower().replace("licence", "license")))


@cache
def _known_texts() -> list[tuple[str, str]]:
    from identify.vendor.licenses import LICENSES

    return [(spdx(name), _words(text)) for name, text in LICENSES]


def _nearest(words: str) -> str | None:
    import ukkonen

    limit = int(EDIT_SHARE * len(words))
    near = [(name, known) for name, known in _known_texts() if abs(len(known) - len(words)) <= limit]
    distances = [(ukkonen.distance(words, known, limit + 1), name) for name, known in near]
    distance, name = min(distances, default=(limit + 1, None))
    return name if distance <= limit else None


def _by_phrases(words: str) -> list[str]:
    return [
        name
        for name, forms in _table()["phrases"].items()
        if any(
            all(part in words for part in form["has"]) and not any(part in words for part in form.get("not", ()))
            for form in forms
        )
    ]


# ---- headers ----

# The value ends where its line does, or a comment. One that is cut off where we stop reading is none.
TAG = r"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+\-(): \t]+)[^A-Za-z0-9.+\-(): \t]"
HEADER_CHARACTERS = 4_000


def licence_of_header(text: str) -> str | None:
    """The SPDX expression of a file's `SPDX-License-Identifier` lines, several joined by AND; null where nobody knows.

    Asked of the first 4,000 characters, where a header stands.
    """
    start = text[:HEADER_CHARACTERS]
    said = re.findall(TAG, start + "\n" if start == text else start)
    lines = [line for line in dict.fromkeys(line.strip(" \t-:") for line in said) if line]
    return spdx(lines[0] if len(lines) == 1 else " AND ".join(f"({line})" for line in lines))


def header(column: str = "text") -> pl.Expr:
    """What `licence_of_header` reads, for a whole column: as it stands there, null where there is none."""
    start = pl.col(column).str.slice(0, HEADER_CHARACTERS)
    start = pl.when(start == pl.col(column)).then(start + "\n").otherwise(start)
    said = pl.element().str.extract(TAG).str.strip_chars(" \t-:")
    lines = start.str.extract_all(TAG).list.eval(said.filter(said != "")).list.unique(maintain_order=True)
    several = pl.concat_str(pl.lit("("), lines.list.join(") AND ("), pl.lit(")"))
    return pl.when(lines.list.len() > 1).then(several).otherwise(lines.list.first()).alias(column)


# ---- manifests ----


def licence_of_manifest(path: str, text: str) -> str | None:
    """The SPDX expression that a package's manifest states, null where it states none, or one that nobody knows.

    Reads package.json, composer.json, pyproject.toml, Cargo.toml, setup.cfg, METADATA, PKG-INFO, DESCRIPTION (R),
    pom.xml and *.gemspec; a broken one says nothing.
    """
    stated = statement(path, text)
    if stated is None:
        return None
    return spdx(stated) or (licence_of_text(stated) if len(stated) > 60 else None)


def statement(path: str, text: str) -> str | None:
    """What a manifest states about the licence, in its own words; null where it states nothing or cannot be read."""
    name = path.rpartition("/")[2]
    reader = MANIFESTS.get(name) or (_gemspec if name.endswith(".gemspec") else None)
    if reader is None or len(text) > MAX_MANIFEST:
        return None
    try:
        found = reader(text)
    # Hostile nesting ends the standard parsers with a RecursionError.
    except (ValueError, TypeError, AttributeError, RecursionError, configparser.Error):
        return None
    found = found.strip() if isinstance(found, str) else ""
    refers = re.match(r"(?i)see licen[cs]e|file:? |licen[cs]e(\.\w+)?$", found)
    return None if refers or found.casefold() in NO_STATEMENT else found


def _one_of(names: list, sign: str) -> str | None:
    stated = [name for name in names if isinstance(name, str) and name.strip()]
    return stated[0] if len(stated) == 1 else f" {sign} ".join(f"({spdx(name) or name})" for name in stated)


def _package_json(text: str) -> str | None:
    # npm's old form is an object or a list of them, to choose from; composer's list is one to choose from, too.
    package = json.loads(text)
    stated = package.get("license") or package.get("licenses") or []
    stated = stated if isinstance(stated, list) else [stated]
    return _one_of([item.get("type") if isinstance(item, dict) else item for item in stated], "OR")


def _toml(text: str) -> dict:
    if any(line.count(".") > MAX_DOTS for line in text.splitlines()):
        raise ValueError("more dots in a line than a key has")
    return tomllib.loads(text)


def _pyproject(text: str) -> str | None:
    document = _toml(text)
    project, poetry = document.get("project", {}), document.get("tool", {}).get("poetry", {})
    stated = project.get("license") or poetry.get("license")
    if isinstance(stated, dict):
        stated = stated.get("text")
    return stated or _of_classifiers(project.get("classifiers") or poetry.get("classifiers") or [])


def _of_classifiers(classifiers: list[str]) -> str | None:
    # A classifier cannot say whether one may choose, so several hold together.
    return _one_of([item for item in classifiers if item.startswith("License ::") and item.count("::") > 1], "AND")


def _cargo(text: str) -> str | None:
    document = _toml(text)
    here, shared = document.get("package", {}), document.get("workspace", {}).get("package", {})
    # { workspace = true } says what the root's manifest says, and that one is found by itself.
    return next((stated for stated in (here.get("license"), shared.get("license")) if isinstance(stated, str)), None)


def _setup_cfg(text: str) -> str | None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    metadata = parser["metadata"] if parser.has_section("metadata") else {}
    return metadata.get("license") or _of_classifiers(metadata.get("classifiers", "").strip().splitlines())


def _metadata(text: str) -> str | None:
    headers = HeaderParser().parsestr(text)
    stated = headers.get("License-Expression") or headers.get("License") or ""
    if stated.strip().casefold() in NO_STATEMENT:
        stated = ""
    # Some packages put the whole text there, where the classifier says it in a word; BSD's says too little.
    by_class = _of_classifiers(headers.get_all("Classifier") or [])
    return by_class if len(stated) > MAX_EXPRESSION and licence_of_text(stated) is None else stated or by_class


def _r_description(text: str) -> str | None:
    stated = HeaderParser().parsestr(text).get("License", "")
    return re.sub(r"\+\s*file LICEN[CS]E", "", stated)


def _pom(text: str) -> str | None:
    # Not parsed as XML: entities of a hostile one expand. Maven lets the user choose between several.
    licences = text.partition("<licenses>")[2].partition("</licenses>")[0]
    return _one_of([part.partition("</name>")[0].strip() for part in licences.split("<name>")[1:]], "OR")


def _gemspec(text: str) -> str | None:
    stated = re.search(r"\.licenses?\s*=\s*([^\n#]{1,300})", text)
    return _one_of(re.findall(r"[\"']([^\"']+)[\"']", stated[1]), "AND") if stated else None


MANIFESTS = {
    **dict.fromkeys(("package.json", "composer.json"), _package_json),
    **dict.fromkeys(("METADATA", "PKG-INFO"), _metadata),
    **{"pyproject.toml": _pyproject, "Cargo.toml": _cargo, "setup.cfg": _setup_cfg, "pom.xml": _pom},
    "DESCRIPTION": _r_description,
}
