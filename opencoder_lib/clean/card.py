"""README.md of an output: the data set card that hubs show, with a YAML header that their machines read.

Made from `report.json` alone. Names of languages, licences and inputs are data: in the header they are quoted strings,
in the text they are escaped, so that none of them can be markup.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from opencoder_lib.cells import count, flat, percent, said, size
from opencoder_lib.report import CONTROL_PICTURES

Report = Mapping[str, Any]
# The ids under which hubs know a licence, where that is not the SPDX id in lower case.
HUB_LICENCES = {
    **{
        f"{name}-{end}": name for name in ("gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0") for end in ("only", "or-later")
    },
    **{"agpl-3.0-only": "agpl-3.0", "agpl-3.0-or-later": "agpl-3.0"},
}
KNOWN_TO_HUBS = {
    *("mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "isc", "zlib", "unlicense", "cc0-1.0"),
    *("bsl-1.0", "mpl-2.0", "epl-1.0", "epl-2.0", "eupl-1.1", "artistic-2.0", "wtfpl", "ncsa", "postgresql", "ms-pl"),
    *("cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "osl-3.0", "afl-3.0", "ecl-2.0", "lppl-1.3c"),
    *("unknown", *HUB_LICENCES.values()),
}
SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B", "10B<n<100B")
SIZES += ("100B<n<1T", "n>1T")
# The parameters that have an option, and the option; the others are those of the library.
OPTIONS = {
    "settings.minhash.bands": "--bands",
    "settings.minhash.rows": "--rows",
    "settings.minhash.ngram": "--ngram",
    "settings.minhash.verify": "--verify",
    "settings.rulebook": "--rulebook",
    "settings.licences": "--licences",
    "settings.text_files": "--text-files",
    "settings.against": "--against",
    "stars": "--stars",
    "max_files": "--max-files",
    "columns.text": "--text-column",
    "columns.path": "--path-column",
    "columns.doc_id": "--id-column",
    "columns.repo": "--repo-column",
}
BUDGETS = "settings.budgets"
MAX_ROWS = 60
# What YAML's readers do not take as it is, or take for the end of a line.
NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
# What begins markup, HTML, a formula or a link somewhere.
ENTITIES = re.compile(r"[<>&|`$\\:@]")
ABSOLUTE = re.compile(r"/[^/]|[A-Za-z]:\\")
PLAIN = re.compile(r"[\w./][\w .,/@:+#=-]*")


def card(report: Report, name: str = "") -> str:
    """The card as Markdown with its YAML header.

    report: as `report.json` holds it; keys that are missing count as empty. name: of the data set; by default it is
    called after its inputs.
    """
    report = _without_folders(report)
    name = name or _name_of(report)
    parts = [_header(report, name), f"# {_text(name)}", _summary(report), _sources(report), _licences(report)]
    parts += [_stages(report), _reasons(report), _languages(report), _transforms(report), _personal_data(report)]
    parts += [_columns(), _parameters(report), _repeat(report), _hashes(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _without_folders(value: Any) -> Any:
    """The same data with the last part of each absolute path: a card is published, and folders name people."""
    if isinstance(value, Mapping):
        return {_without_folders(key): _without_folders(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_folders(one) for one in value]
    if isinstance(value, str) and ABSOLUTE.match(value):
        return re.split(r"[/\\]", value.rstrip("/\\"))[-1] or value
    return value


def _name_of(report: Report) -> str:
    names = [str(name) for name in report.get("inputs") or ()]
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"Cleaned code from {', '.join(names[:3])}{more}" if names else "Cleaned code"


# The header


def _header(report: Report, name: str) -> str:
    about = {
        "pretty_name": name,
        "language": ["code"],
        **_licence_of(report),
        "size_categories": [_size_category(_kept(report)[0])],
        "task_categories": ["text-generation"],
        "tags": ["code", "deduplicated", "opencoder-clean"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "kept/*.parquet"}]}],
    }
    # JSON is YAML: a value in quotes and brackets means the same in both.
    return "\n".join(["---", *(f"{key}: {quoted(value)}" for key, value in about.items()), "---"])


def quoted(value: Any) -> str:
    """The value as JSON that every reader of YAML takes too."""
    return NOT_YAML.sub(_escape, json.dumps(value, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    # Half of a pair of surrogates is no character; no file could hold it.
    return "\ufffd" if "\ud800" <= found[0] <= "\udfff" else f"\\u{ord(found[0]):04x}"


def _licence_of(report: Report) -> dict[str, str]:
    """What the whole is under, as a hub asks: one licence it knows, `unknown`, or `other` with a name."""
    kept = {row["license"] for row in report.get("licences") or () if row["files_kept"]}
    if len(kept) > 1:
        return {"license": "other", "license_name": "mixed"}
    spdx = str(next(iter(kept), None) or "unknown").lower()
    known = HUB_LICENCES.get(spdx, spdx)
    if known in KNOWN_TO_HUBS:
        return {"license": known}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", spdx).strip("-.") or "unknown"}


def _size_category(n: int) -> str:
    return SIZES[next((at for at in range(len(SIZES) - 1) if n < 1000 * 10**at), len(SIZES) - 1)]


# The text


def _kept(report: Report) -> tuple[int, int]:
    funnel = report.get("funnel") or ()
    return (funnel[-1]["files_after"], funnel[-1]["bytes_after"]) if funnel else (0, 0)


def _ran(report: Report, stage: str) -> bool:
    return stage in ((report.get("about") or {}).get("settings") or {}).get("stages", ())


def _summary(report: Report) -> str:
    funnel = report.get("funnel") or ()
    if not funnel:
        return "Source code, cleaned by `opencoder clean`."
    (n_files, n_bytes), first = _kept(report), funnel[0]
    languages = sum(row["files_kept"] > 0 for row in report.get("languages") or ())
    return (
        f"{count(n_files, 'file')} of source code ({size(n_bytes)}, {count(languages, 'language')}), which is "
        f"{percent(n_files, first['files_before'])} of the {count(first['files_before'], 'file')} "
        f"({size(first['bytes_before'])}) that `opencoder clean` read. The rows are in `kept/`; `report.html` shows "
        "what happened to the others."
    )


def _sources(report: Report) -> str:
    inputs = [str(name) for name in report.get("inputs") or ()]
    lines = [f"- {_name(name)}" for name in inputs[:MAX_ROWS]] or ["Not noted."]
    if len(inputs) > MAX_ROWS:
        lines.append(f"- and {len(inputs) - MAX_ROWS:,} more, all named in `report.json`")
    for what, n in sorted([*(report.get("notes") or {}).items(), *(report.get("skipped") or {}).items()]):
        lines.append(f"- noted while reading: {_name(what)}, {n:,}")
    if unread := report.get("unreadable_lines"):
        n = sum(entry["n"] for entry in unread.values())
        lines.append(f"- {count(n, 'line or row', 'lines or rows')} in {count(len(unread), 'file')} could not be read")
    if (opt_out := report.get("opt_out") or {}).get("entries"):
        entries = count(opt_out["entries"], "opt-out entry", "opt-out entries")
        lines.append(f"- {entries} left out {count(opt_out['files'], 'file')}")
    return "## Sources\n\n" + "\n".join(lines)


def _licences(report: Report) -> str:
    rows = sorted(report.get("licences") or (), key=lambda row: (-row["files_kept"], str(row["license"])))
    text = (
        "The files keep the licences of their authors, one a row in the column `license`; this card grants none. "
        "Who uses them has to keep their terms, attribution among them."
    )
    if not rows:
        return f"## Licences\n\n{text} This run did not count licences."
    lines = [
        (
            "none known" if row["license"] is None else _name(row["license"]),
            "yes" if row["permissive"] else "no",
            *(f"{row['files_kept']:,}", size(row["bytes_kept"]), f"{row['files_read']:,}"),
        )
        for row in rows
    ]
    head = ("Licence", "Permissive", "Files kept", "Size kept", "Files read")
    return f"## Licences\n\n{text}\n\n{_table(head, lines)}"


def _stages(report: Report) -> str:
    rows = report.get("funnel") or ()
    if not rows:
        return ""
    lines = [
        (
            *(_name(row["stage"]), f"{row['files_removed']:,}", percent(row["files_removed"], row["files_before"])),
            *(size(row["bytes_removed"]), percent(row["bytes_removed"], row["bytes_before"])),
            *(f"{row['files_after']:,}", size(row["bytes_after"])),
        )
        for row in rows
    ]
    head = ("Stage", "Files removed", "Share", "Size removed", "Share", "Files left", "Size left")
    text = "Shares are of what reached the stage. A transform removes no file: its size is what it cut from texts."
    return f"## What each stage removed\n\n{text}\n\n{_table(head, lines)}"


def _reasons(report: Report) -> str:
    found = sorted((report.get("removed_by") or {}).items(), key=lambda item: (-item[1]["files"], item[0]))
    lines = [(_name(reason), f"{entry['files']:,}", size(entry["bytes"])) for reason, entry in found]
    return f"### Reasons\n\n{_table(('Reason', 'Files', 'Size'), lines)}" if lines else ""


def _languages(report: Report) -> str:
    rows = [row for row in report.get("languages") or () if row["files_kept"]]
    rows.sort(key=lambda row: (-row["bytes_kept"], row["language"]))
    total = sum(row["bytes_kept"] for row in rows)
    lines = [
        (
            *(_name(row["language"]), _name(row.get("category") or "-"), f"{row['files_kept']:,}"),
            *(size(row["bytes_kept"]), percent(row["bytes_kept"], total)),
        )
        for row in rows
    ]
    head = ("Language", "Category", "Files", "Size", "Share of size")
    parts = [f"## Languages\n\n{_table(head, lines)}"] if lines else []
    if budgets := report.get("sampling"):
        drawn = [
            (
                *(_name(row["language"]), "none" if row["budget"] is None else size(row["budget"])),
                *(size(row["bytes_before"]), size(row["bytes_after"])),
            )
            for row in budgets
        ]
        parts.append(
            "Files of these languages were drawn by the hash of their ids until the budget was full:\n\n"
            + _table(("Language", "Budget", "Before", "After"), drawn)
        )
    return "\n\n".join(parts)


def _transforms(report: Report) -> str:
    rows = report.get("transforms") or ()
    lines = [
        (_name(row["transform"]), _name(row["kind"]), f"{row['files']:,}", f"{row['n']:,}", f"{row['bytes_cut']:,}")
        for row in rows
    ]
    head = ("Transform", "Kind", "Files", "Places", "Bytes cut")
    return f"## Changes of text\n\n{_table(head, lines)}" if lines else ""


def _personal_data(report: Report) -> str:
    found = [row for row in report.get("transforms") or () if row["transform"] == "personal_data"]
    if not _ran(report, "transform"):
        text = (
            "Nothing was redacted in this run: `kept/` holds addresses, keys and names of persons as they were found."
        )
    elif not found:
        text = "The patterns of this run found no personal data to replace."
    else:
        kinds = ", ".join(f"{_name(row['kind'])} {row['n']:,}" for row in found)
        text = (
            f"Placeholders replaced {count(sum(row['n'] for row in found), 'place')} in texts ({kinds}); "
            "`transforms.parquet` counts them by file and does not hold what stood there."
        )
    if _ran(report, "transform"):
        text += " Patterns find what has the form of a secret: others, and names of persons, may still be in `kept/`."
    warning = "**In `removed/`, what went before the transform lies as it was found: do not publish that folder.**"
    return f"## Personal data\n\n{text}\n\n{warning}"


def _columns() -> str:
    return (
        "## Columns\n\nA row is a file: `doc_id` (made from its place, not its text), `text`, `path`, `repo`, "
        "`license`, `language`, `category`, `n_bytes`, `stars`, `committed_at` and what else the inputs had. "
        "`removed_by`, `survivor` and `measured` say why a file of `removed/` went, by `clusters.parquet` with which "
        "others."
    )


def _parameters(report: Report) -> str:
    found = flat(report.get("about") or {})
    found = {name: found[name] for name in sorted(found, key=lambda name: (not name.startswith("settings."), name))}
    lines = [(_name(name.removeprefix("settings.")), _name(_value(value))) for name, value in found.items()]
    return f"## Parameters and provenance\n\n{_table(('Name', 'Value'), lines)}" if lines else ""


def _value(value: Any) -> str:
    # A number as one would type it.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else said(value)


def _repeat(report: Report) -> str:
    about = report.get("about") or {}
    if not about:
        return ""
    text = (
        "The same inputs, parameters, versions and code give the same rows, whatever the machine and the number of "
        "processes: compare `inputs_fingerprint`, `library_sha256` and `rulebook_sha256` above. `DIR` is a new folder. "
        "What has no option below is a default of the library, or a file of yours that the report does not name."
    )
    shown = _printable(command(about))
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"## How to repeat the run\n\n{text}\n\n{fence}sh\n{shown}\n{fence}"


def command(about: Mapping[str, Any]) -> str:
    """The command line that asks for the same run, as far as it has options."""
    parts = ["opencoder clean", *(shlex.quote(str(name)) for name in about.get("inputs") or ()), "--out DIR"]
    settings = flat(about)
    stages = settings.get("settings.stages")
    if stages:
        parts.append(f"--stages {shlex.quote(','.join(map(str, stages)))}")
    for name, option in OPTIONS.items():
        value = settings.get(name)
        if value is None or (name.startswith("columns.") and value == name.removeprefix("columns.")):
            continue
        parts += [f"{option} {shlex.quote(str(one))}" for one in (value if isinstance(value, list) else [value])]
    budgets = {name.removeprefix(f"{BUDGETS}."): settings[name] for name in settings if name.startswith(f"{BUDGETS}.")}
    parts += [f"--budget {shlex.quote(f'{language}={size}')}" for language, size in sorted(budgets.items())]
    parts += ["--budget none"] if settings.get(BUDGETS) == {} else []
    parts += ["--no-notebooks"] if settings.get("settings.notebooks") is False else []
    return " ".join(parts)


def _hashes(report: Report) -> str:
    rows = report.get("files") or ()
    lines = [(_name(row["path"]), f"{row['bytes']:,}", _name(row["sha256"])) for row in rows[:MAX_ROWS]]
    if not lines:
        return ""
    more = f"\n\n{len(rows) - MAX_ROWS:,} more are in `report.json`." if len(rows) > MAX_ROWS else ""
    return f"## Files\n\n{_table(('File', 'Bytes', 'SHA-256'), lines)}{more}"


# Markdown


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; all but the first columns of words are short."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _name(text: str) -> str:
    """A name as code where it is a plain one, else as escaped text."""
    return f"`{text}`" if PLAIN.fullmatch(text) and "  " not in text and text == text.strip() else _text(text)


def _text(text: str) -> str:
    """Any text as Markdown that shows it: one line, no markup, no HTML, no link."""
    shown = _printable(text).replace("\n", "\u2424").replace("\t", " ")
    shown = ENTITIES.sub(lambda found: f"&#{ord(found[0])};", shown).replace("www.", "www\\.")
    shown = re.sub(r"[*_\[\]~]|^[-+#=]", lambda found: f"\\{found[0]}", shown)
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", shown)


def _printable(text: str) -> str:
    return text.translate(CONTROL_PICTURES).encode("utf-8", "backslashreplace").decode()
