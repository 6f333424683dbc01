"""The toy book's real corpus: the source files of a fixed list of installed distributions (installed.toml).

Each distribution is a repository with a curated licence and the installed version. What lies on disk is the corpus,
so nothing is downloaded and a lock file fixes the bytes. Stars do not exist here: a number from the download rank
stands in for them, and commit times are null, since a wheel's file dates say when it was unpacked.
"""

import csv
import fnmatch
import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from importlib.resources import files as package_files

from opencoder_lib.corpora.reading import (
    MAX_BYTES,
    Collection,
    NotAFile,
    count_repos,
    file_row,
    printable_path,
    read_file,
    skipped_frame,
)
from opencoder_lib.errors import ConfigError, InputError
from opencoder_lib.files import new_files

NUM_RANKED = 15_000


@dataclass(frozen=True)
class Distribution:
    """One entry of the list: which files of an installed distribution belong to the corpus, and their licence.

    include, exclude: shell patterns on the path, `*` also matching `/`. licences: (pattern, SPDX id) for parts of
    another licence, e.g. vendored code; the first that matches wins over `license`.
    """

    name: str
    license: str
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    licences: tuple[tuple[str, str], ...] = field(default=())

    def takes(self, path: str) -> bool:
        """Whether the file at `path` belongs to the corpus."""
        return _matches(path, self.include) and not _matches(path, self.exclude)

    def license_of(self, path: str) -> str:
        """The SPDX id of the file at `path`."""
        return next((name for pattern, name in self.licences if _matches(path, (pattern,))), self.license)


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return bool(patterns) and _compiled(patterns).match(path) is not None


@cache
def _compiled(patterns: tuple[str, ...]) -> re.Pattern:
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns))


@cache
def _table() -> dict:
    return tomllib.loads((package_files("opencoder_lib.corpora") / "installed.toml").read_text(encoding="utf-8"))


def listed() -> list[Distribution]:
    """The distributions of installed.toml, sorted by name. Raises ConfigError on one that is listed twice."""
    never = tuple(_table()["never"])
    found: dict[str, Distribution] = {}
    whole = {name: {"license": spdx} for spdx, names in _table()["whole"].items() for name in names}
    for name, entry in [*whole.items(), *_table()["part"].items()]:
        if name in found:
            raise ConfigError(f"installed.toml lists {name!r} twice: under [whole] and under [part].")
        found[name] = Distribution(
            name,
            entry["license"],
            tuple(entry.get("include", ["*"])),
            (*entry.get("exclude", ()), *never),
            tuple(tuple(pair) for pair in entry.get("licences", ())),
        )
    return [found[name] for name in sorted(found)]


def listed_versions() -> dict[str, str | None]:
    """The installed version of every listed distribution, null when it is not installed: what fixes the corpus."""
    return {entry.name: _version(entry.name) for entry in listed()}


def _version(name: str) -> str | None:
    try:
        # 2.13.0 of 2.13.0+cpu: the listed files are those that builds for any device share.
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def collect_installed(max_bytes: int = MAX_BYTES) -> Collection:
    """The files of all listed distributions, sorted by repository and path; `version` is an extra column.

    `skipped` counts files that an install record lists but that are gone. `repos` names version, licence, the
    popularity rank and the size of each repository. Raises InputError naming the distributions that are missing.
    """
    versions = listed_versions()
    if missing := sorted(name for name, version in versions.items() if version is None):
        raise InputError(
            f"The corpus needs {len(missing)} distribution(s) that are not installed: {', '.join(missing)}. "
            "Install the book's environment with: make setup"
        )
    rows, gone = [], []
    for entry in listed():
        stars = popularity(entry.name)
        for path, place in _source_files(entry):
            try:
                read = read_file(place, max_bytes)
            except NotAFile as error:
                gone.append((str(error), path))
                continue
            if read.removed_by == "preprocess.unreadable" and not place.exists():
                gone.append(("listed in the install record but gone", path))
                continue
            rows.append(
                file_row(
                    read,
                    origin="installed",
                    repo=entry.name,
                    path=path,
                    license=entry.license_of(path),
                    stars=stars,
                    version=versions[entry.name],
                )
            )
    files = new_files(rows)
    return Collection(files, skipped_frame(gone), count_repos(files, "version", "license", "stars"))


def _source_files(entry: Distribution) -> list[tuple[str, object]]:
    """(path, place on disk) of the files a distribution's install record lists and its entry takes, sorted."""
    recorded = metadata.distribution(entry.name).files
    if recorded is None:
        raise InputError(f"{entry.name} was installed without a record of its files. Install it again with pip.")
    # A path that leaves site-packages (`../../../bin/x`) is written at install time, with this machine's paths in it.
    inside = {printable_path(str(file)): file for file in recorded if not str(file).startswith("..")}
    return [(path, file.locate()) for path, file in sorted(inside.items()) if entry.takes(path)]


def popularity(name: str) -> int | None:
    """A stand-in for stars: 15,001 minus the download rank, so 15,000 for the most downloaded; null when unranked."""
    rank = _ranks().get(re.sub(r"[-_.]+", "-", name).lower())
    return None if rank is None else NUM_RANKED + 1 - rank


@cache
def _ranks() -> dict[str, int]:
    table = package_files("opencoder_lib.corpora") / "pypi_download_rank.csv"
    with table.open(encoding="utf-8") as stream:
        return {row["name"]: int(row["rank"]) for row in csv.DictReader(stream)}
