"""From the hub to local files: a revision resolved to its commit, its files listed and fetched, tables for `clean`.

Needs the extra `hub`. What huggingface_hub does is left to it: the cache and its place (HF_HOME), going on where a
download broke off, the token (HF_TOKEN or `hf auth login`), another address of the hub (HF_ENDPOINT).
"""

import errno
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from opencoder_lib import MB
from opencoder_lib.corpora.hub import Dataset, as_files, find_dataset, known_datasets, open_local, rewrite
from opencoder_lib.corpora.tables import Columns, first_line
from opencoder_lib.errors import InputError, did_you_mean
from opencoder_lib.files import SCHEMA

NUM_THREADS = 8
SLICE_ROWS = 4096


@dataclass(frozen=True)
class Listing:
    """The wanted files of a data set in one state: `commit`, and path in the repository -> bytes, sorted by path."""

    commit: str
    files: dict[str, int]


def list_files(dataset: Dataset, revision: str | None = None) -> Listing:
    """The files of a revision (a commit, tag or branch; the data set's own or `main` when left out).

    Raises InputError when the hub cannot be asked, refuses, does not know the data set or the revision, or when no file
    of that revision has the name that the data set's files have.
    """
    revision = revision or dataset.revision
    with _explained(dataset, revision):
        api = _hub().HfApi()
        commit = api.dataset_info(dataset.id, revision=revision).sha
        tree = api.list_repo_tree(dataset.id, recursive=True, revision=commit, repo_type="dataset")
        sizes = {entry.path: entry.size for entry in tree if hasattr(entry, "size")}
    found = {path: sizes[path] for path in sorted(sizes) if _matches(path, dataset.pattern)}
    if not found:
        raise InputError(_no_files(dataset, commit, list(sizes)))
    return Listing(commit, found)


def download(
    dataset: Dataset, revision: str | None = None, max_files: int | None = None, cache: Path | None = None
) -> list[Path]:
    """Local paths of the data set's files, sorted by their paths in the repository; those in the cache are not fetched.

    max_files: only the first so many. cache: a folder instead of huggingface_hub's own. Raises what `list_files`
    raises, and InputError before the first byte if the disk has no room for all, or when a download fails: what has
    arrived stays, so that asking again goes on there.
    """
    _check_max_files(max_files)
    return fetch(dataset, list_files(dataset, revision), max_files, cache)


def _check_max_files(max_files: int | None) -> None:
    if max_files is not None and max_files < 1:
        raise InputError(f"max_files must be at least 1, not {max_files}. Leave it out for all files.")


def fetch(dataset: Dataset, listing: Listing, max_files: int | None = None, cache: Path | None = None) -> list[Path]:
    """`download` of files that have been listed."""
    _check_max_files(max_files)
    chosen = list(listing.files)[:max_files]
    hub = _hub()
    api = hub.HfApi()
    about = {"repo_type": "dataset", "revision": listing.commit, "cache_dir": cache}
    missing = [path for path in chosen if not isinstance(hub.try_to_load_from_cache(dataset.id, path, **about), str)]
    _check_room(dataset, sum(listing.files[path] for path in missing), _cache_folder(cache))

    def fetch_one(path: str) -> Path:
        return Path(api.hf_hub_download(dataset.id, path, **about))

    pool = ThreadPoolExecutor(NUM_THREADS)
    try:
        with _explained(dataset, listing.commit):
            return list(pool.map(fetch_one, chosen))
    finally:
        # After a failure nothing new is begun.
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class HubTables:
    """A data set as Parquet tables that `clean` reads, and what they are: `dataset` at `commit`.

    columns: what the tables call text and path. constants: columns of our frame -> their value in every row.
    language: the tables' column that names the language in the words of languages.toml, or "".
    """

    dataset: Dataset
    commit: str
    paths: list[Path]
    columns: Columns
    constants: dict[str, str]
    language: str = ""

    @property
    def name(self) -> str:
        """What finds the same tables again: hub:ID[/CONFIG]@COMMIT."""
        return replace(self.dataset, revision=self.commit).name


def hub_tables(
    name: str, columns: Columns | None = None, max_files: int | None = None, cache: Path | None = None
) -> HubTables:
    """The tables of the data set of texts that `name` (hub:OWNER/NAME[/CONFIG][@REVISION]) names, fetched.

    columns: for a data set that hub.toml does not know. Arrow files are written as Parquet once, below the cache, with
    the path NAME/ROW where rows have none. Raises what `download` and `open_local` raise, and InputError before
    anything is fetched for a data set of metadata, which holds no text.
    """
    dataset = find_dataset(name)
    if dataset.kind == "metadata":
        raise InputError(
            f"{dataset.id} holds no text, so there is nothing to clean: its rows say which files there are. Their "
            f"texts lie in {dataset.text_at}. From Python, opencoder_lib.corpora.hub.metadata_composition() counts "
            "languages, and hub_contents.write_with_contents() makes tables of texts that lie in a folder here."
        )
    listing = list_files(dataset)
    paths = fetch(dataset, listing, max_files, cache)
    return local_tables(dataset, listing.commit, dict(zip(listing.files, paths, strict=False)), columns, cache)


def local_tables(
    dataset: Dataset,
    commit: str,
    paths: dict[str, Path],
    columns: Columns | None = None,
    cache: Path | None = None,
) -> HubTables:
    """`hub_tables` of files that lie here: their paths in the repository -> here."""
    frames = open_local(dataset, list(paths.values()))
    constants = {"origin": "hub", **dataset.constant}
    if dataset.kind == "table":
        return HubTables(dataset, commit, list(paths.values()), columns or Columns(), constants)
    if "path" in dataset.map:
        ours = Columns(text=dataset.map["text"][0], path=dataset.map["path"][0])
        return HubTables(dataset, commit, list(paths.values()), ours, constants)
    folder = _cache_folder(cache) / "opencoder-tables" / dataset.id.replace("/", "--") / commit
    tables = []
    for (name, _), frame in zip(paths.items(), frames, strict=True):
        # Names come from the repository: without a slash they cannot lead out of the folder.
        stem = name.rpartition(".")[0]
        tables.append(folder / f"{stem.replace('/', '--')}.parquet")
        if not tables[-1].exists():
            rewrite(frame, tables[-1], partial(_with_paths, dataset, stem), SLICE_ROWS)
    return HubTables(dataset, commit, tables, Columns(), constants, language="language")


def _with_paths(dataset: Dataset, stem: str, rows: pl.DataFrame, start: int) -> pl.DataFrame:
    files = as_files(rows, dataset)
    number = pl.int_range(start, start + files.height, dtype=pl.Int64).cast(pl.String).str.zfill(9)
    extra = [name for name in files.columns if name not in SCHEMA]
    return files.with_columns(path=pl.lit(f"{stem}/") + number).select("text", "path", "language", *extra)


def _hub() -> Any:
    try:
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ImportError:
        raise InputError(
            "Reading from the hub needs the package huggingface_hub, which is not installed. "
            "Install it with: pip install 'opencoder-lib[hub]'"
        ) from None
    return huggingface_hub


def _cache_folder(cache: Path | None) -> Path:
    return Path(cache or _hub().constants.HF_HUB_CACHE)


def _matches(path: str, pattern: str) -> bool:
    """Whether a path fits, where `*` is within one folder and a leading `**/` is any folders."""
    if pattern.startswith("**/"):
        return fnmatchcase(path.rsplit("/", 1)[-1], pattern.removeprefix("**/"))
    names, parts = path.split("/"), pattern.split("/")
    return len(names) == len(parts) and all(map(fnmatchcase, names, parts))


def _no_files(dataset: Dataset, commit: str, paths: Sequence[str]) -> str:
    hint = ""
    if dataset.config:
        depth = dataset.files.split("/").index("{config}") if "{config}" in dataset.files else 0
        folders = {parts[depth] for parts in (path.split("/") for path in paths) if len(parts) > depth + 1}
        hint = did_you_mean(dataset.config, folders) if folders else ""
    else:
        hint = f" It has, for example: {', '.join(sorted(paths)[:5]) or 'nothing'}. Name another revision."
    return f"{dataset.id} at {commit} has no file {dataset.pattern!r}.{hint}"


def _check_room(dataset: Dataset, needed: int, folder: Path) -> None:
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise InputError(
            f"{dataset.name}: {needed / MB:,.0f} MB are to be fetched, and {str(folder)!r} has room for "
            f"{free / MB:,.0f} MB. Ask for fewer files (max_files), or name a folder on a larger disk (HF_HOME)."
        )


@contextmanager
def _explained(dataset: Dataset, revision: str | None) -> Iterator[None]:
    """Failures of huggingface_hub as InputError that says what to do."""
    hub = _hub()
    known = (hub.errors.HTTPError, hub.errors.HFValidationError, hub.errors.EntryNotFoundError)
    # RuntimeError is how the library that fetches large files tells of a broken connection.
    failures = (OSError, RuntimeError, *known)
    try:
        yield
    except failures as error:
        raise InputError(_explain(hub.errors, error, dataset, revision)) from error


def _explain(errors: Any, error: Exception, dataset: Dataset, revision: str | None) -> str:
    page = f"https://huggingface.co/datasets/{dataset.id}"
    # What went wrong in the middle of a download comes wrapped.
    if isinstance(error.__cause__, (errors.HfHubHTTPError, errors.OfflineModeIsEnabled)):
        error = error.__cause__
    match error:
        case errors.OfflineModeIsEnabled():
            return (
                f"{dataset.name} cannot be looked up: HF_HUB_OFFLINE is set. Unset it, or give files that lie here "
                "already by a pattern: huggingface_hub keeps them in "
                f"{str(_cache_folder(None) / ('datasets--' + dataset.id.replace('/', '--')) / 'snapshots')!r}."
            )
        case errors.GatedRepoError():
            return (
                f"{dataset.id} is only for those who accepted its terms. Accept them at {page} with an account, make "
                "a token at https://huggingface.co/settings/tokens, and give it by `hf auth login` or in HF_TOKEN."
            )
        case errors.RevisionNotFoundError():
            return (
                f"{dataset.id} has no revision {revision!r}: no commit, tag or branch of that name. Look at "
                f"{page}/commits/main, or leave the revision out for the newest."
            )
        case errors.RepositoryNotFoundError() | errors.HFValidationError():
            return (
                f"The hub knows no data set {dataset.id!r}.{did_you_mean(dataset.id, known_datasets())} If it is "
                "private, give a token by `hf auth login` or in HF_TOKEN."
            )
        case errors.HfHubHTTPError():
            return (
                f"The hub answered {error.response.status_code} for {dataset.name} ({first_line(error)}). Ask again "
                "later: what has arrived stays."
            )
        case OSError(errno=errno.ENOSPC):
            return "The disk is full. Make room, or set HF_HOME to another, and ask again: it goes on where it stopped."
        case PermissionError():
            return f"{str(error.filename)!r} cannot be written. Set HF_HOME to a folder that can."
    return (
        f"{dataset.name} cannot be fetched: no answer from {_hub().constants.ENDPOINT} ({first_line(error)}). Look to "
        "the network, or set HF_ENDPOINT to a mirror, and ask again: what has arrived stays."
    )
