"""How fast the transforms are: redaction beside the same rules in Python's `re` and beside detect-secrets.

    python benchmarks/transform.py [FOLDER...] [--megabytes 60] [--repeats 5] [--only 1 3]

Files are taken from the folders in the order of a hash of their path. One process, one thread, processor time, the
sides take turns, medians, MB/s of one core. What is compiled at first use is compiled before the clock starts. A peer
that is not installed leaves its row empty. Redaction here is finding and replacing, with the parse of changed Python
files. Python's `re` backtracks: on some files it would not end, so it gives up a search after a second.
"""

# First, because it sets the number of threads before Polars and numba are imported.
from dedup import HEADER, Row, collect, compare, machine, megabytes, take_turns

# isort: split
import argparse
import re
import signal
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl

from opencoder_lib import MB
from opencoder_lib.files import new_files
from opencoder_lib.refine.pii import find_personal_data, redact_personal_data
from opencoder_lib.refine.pii.rules import PiiRules, load_pii_rules

# detect-secrets reads some 0.2 MB a second.
SAMPLE = 2 * MB
PATIENCE = 1
# The reference's aim for one core.
AIM = 50


class GivesUp:
    """A rule's pattern for Python's backtracking engine, which gives up a search after PATIENCE seconds.

    It runs over bytes, as RE2 does, and takes any letter beyond ASCII for a Latin one.
    """

    times = 0

    def __init__(self, pattern: str):
        self.pattern = re.compile(pattern.encode().replace(rb"\p{Latin}", rb"A-Za-z\x80-\xff"))

    def search(self, data: bytes, at: int) -> re.Match[bytes] | None:
        signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
        try:
            return self.pattern.search(data, at)
        except TimeoutError:
            GivesUp.times += 1
            return None
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def out_of_patience(*_: object) -> None:
    raise TimeoutError


def redact_by_re(files: pl.DataFrame, rules: PiiRules | None = None) -> pl.DataFrame:
    """The same redaction by Python's `re`."""
    with patch("opencoder_lib.refine.pii.redact.compiled", cache(GivesUp)):
        return redact_personal_data(files, rules)


def without_hints(rules: PiiRules) -> PiiRules:
    """The rules that search every file."""
    return replace(rules, rules=tuple(replace(rule, hint="") for rule in rules))


def against_re(files: pl.DataFrame, repeats: int) -> Iterator[Row]:
    """The same rules, hints and checks; and both engines without hints, where the engine is most of the work."""
    texts, rules = files["text"], without_hints(load_pii_rules())
    signal.signal(signal.SIGVTALRM, out_of_patience)
    same = redact_personal_data(files)["text"] == redact_by_re(files)["text"]
    about = "same texts" if same.all() else f"{(~same).sum()} texts differ"
    about += f", re gives up {GivesUp.times}" if GivesUp.times else ""
    seconds = take_turns(min(3, repeats), partial(redact_personal_data, files), partial(redact_by_re, files))
    yield compare(f"1 redaction, {about}", texts, seconds, "Python's re")
    few = files.head(max(1, files.height // 10))
    seconds = take_turns(min(3, repeats), partial(redact_personal_data, few, rules), partial(redact_by_re, few, rules))
    yield compare("1b the same, every rule on every file", few["text"], seconds, "Python's re")


def against_detect_secrets(files: pl.DataFrame, repeats: int) -> Iterator[Row]:
    """All its plug-ins as they come, on files, which is what it reads; what each side finds is told in the row."""
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings

    sample = files.filter(files["text"].str.len_bytes().cum_sum() <= SAMPLE)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for at, (path, text) in enumerate(sample.select("path", "text").iter_rows()):
            # Their names decide which plug-ins and filters it uses.
            paths.append(Path(folder) / str(at) / Path(path).name)
            paths[-1].parent.mkdir()
            paths[-1].write_text(text, encoding="utf-8")

        def theirs() -> int:
            found = SecretsCollection()
            with default_settings():
                for path in paths:
                    found.scan_file(str(path))
            return len(list(found))

        kinds = find_personal_data(sample)["kind"]
        num_secrets = (~kinds.is_in(["email", "ipv4", "ipv6"])).sum()
        seconds = take_turns(min(2, repeats), partial(redact_personal_data, sample), theirs)
        about = f"2 redaction, {num_secrets} secrets beside {theirs()}"
        yield compare(about, sample["text"], seconds, "detect-secrets")


def against_aim(files: pl.DataFrame, repeats: int) -> Iterator[Row]:
    """Redaction and the removal of copyright notices on all files, in MB/s."""
    sides = {"3 redaction": redact_personal_data}
    if find_spec("opencoder_lib.refine.copyright"):
        from opencoder_lib.refine.copyright import strip_copyright_notices

        sides["4 copyright notices"] = strip_copyright_notices
    seconds = take_turns(repeats, *(partial(side, files) for side in sides.values()))
    size = megabytes(files["text"])
    for about, taken in zip(sides, seconds, strict=True):
        rates = size / taken
        rate, spread = float(np.median(rates)), f"{rates.min():.0f}-{rates.max():.0f}"
        row = Row(about, files.height, size, f"{rate:.1f} MB/s", "(no peer)", rate, spread, unit="MB/s")
        yield replace(row, aim=AIM) if about.startswith("3") else row


def measures(files: pl.DataFrame, repeats: int, chosen: list[str]) -> Iterator[Row]:
    """The rows of the chosen measures, each as soon as it is there."""
    if "1" in chosen:
        yield from against_re(files, repeats)
    if "2" in chosen and find_spec("detect_secrets") is None:
        yield Row("2 detect-secrets is not installed (pip install detect-secrets)")
    elif "2" in chosen:
        yield from against_detect_secrets(files, repeats)
    if "3" in chosen:
        yield from against_aim(files, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    installed = [Path(sysconfig.get_paths()["purelib"])]
    parser.add_argument("folders", nargs="*", type=Path, default=installed, help="by default the installed packages")
    parser.add_argument("--megabytes", type=float, default=60.0, help="MB of files for measures 1 and 3")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side")
    parser.add_argument("--only", nargs="+", choices=[*"123"], default=[*"123"], help="which measures")
    arguments = parser.parse_args()
    found = collect(arguments.folders, arguments.megabytes * MB)
    if found.is_empty():
        raise SystemExit(f"No source files of 32 bytes to 1 MB below {', '.join(map(str, arguments.folders))}.")
    files = new_files(found.with_columns(origin=pl.lit("folder")))
    # What is compiled at first use is compiled here.
    redact_personal_data(files.head(50))
    versions = []
    for package in ("google-re2", "detect-secrets"):
        with suppress(PackageNotFoundError):
            versions.append(f"{package} {version(package)}")
    print(f"{machine()}, {', '.join(versions)}")
    print(f"{files.height:,} files, {megabytes(files['text']):.1f} MB\n\n{HEADER}", flush=True)
    for row in measures(files, arguments.repeats, arguments.only):
        print(row, flush=True)


if __name__ == "__main__":
    main()
