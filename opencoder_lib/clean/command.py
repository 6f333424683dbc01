"""`opencoder clean` from the outside: what is asked is checked, what is done is kept, what came out is told."""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from opencoder_lib import __version__
from opencoder_lib.clean.engine import Engine
from opencoder_lib.clean.optout import OptOut, read_opt_out
from opencoder_lib.clean.parts import WORK, num_rows
from opencoder_lib.clean.plan import LICENCES, TEXT_FILES, Plan, chosen_stages, unit_bytes
from opencoder_lib.clean.report import tell_done, tell_plan
from opencoder_lib.clean.results import OUTPUT, write_results
from opencoder_lib.clean.run import Run, carry_out, console
from opencoder_lib.compiled import is_first_run
from opencoder_lib.corpora.inputs import Inputs, open_inputs
from opencoder_lib.corpora.reading import MAX_BYTES, printable_path
from opencoder_lib.corpora.stars import GitHub, StarsOf, read_stars, stars_of
from opencoder_lib.corpora.tables import Columns, ParquetTable
from opencoder_lib.corpora.units import extra_columns
from opencoder_lib.errors import CookbookError, CorruptArtifact, InputError
from opencoder_lib.machine import num_processors
from opencoder_lib.quality import load_rules
from opencoder_lib.refine.minhash import MinHash
from opencoder_lib.refine.sampling import paper_budgets
from opencoder_lib.shards import explained_if_full
from opencoder_lib.store import library_hash, read_json, versions, write_json

try:
    import fcntl
except ImportError:  # Windows has no such locks; two runs on one DIR are then not told apart
    fcntl = None

TAKES_PART = ("clean", "corpora", "quality", "refine", "syntax")


class OutputFolderError(CookbookError):
    """DIR cannot take this run's output."""

    exit_code = 2


@dataclass(frozen=True)
class Order:
    """What the user asks for.

    stages: null for all. budgets: bytes a language may have, the paper's for null. stars: a table of repositories and
    stars, or "github" to ask there. max_files: of each data set of the hub, all for null. jobs: tasks at once, one per
    processor by default.
    """

    inputs: tuple[str, ...]
    out: Path
    columns: Columns = field(default_factory=Columns)
    stages: str | None = None
    minhash: MinHash = field(default_factory=MinHash)
    rulebook: str = "released"
    budgets: Mapping[str, int] | None = None
    licences: str = LICENCES[0]
    text_files: str = TEXT_FILES[0]
    notebooks: bool = True
    stars: str | None = None
    max_files: int | None = None
    opt_out: Path | None = None
    against: tuple[Path, ...] = ()
    engine: str = "native"
    ray_address: str | None = None
    jobs: int | None = None


def clean(order: Order, dry_run: bool = False) -> dict[str, Any] | None:
    """Write what `results.OUTPUT` names into DIR; return the report, null for a dry run.

    A run that was cut off goes on where it was; one that is complete is left as it is. Raises OutputFolderError when
    DIR holds anything else.
    """
    _check_folder(order.out)
    stars, kept = _stars(order)
    inputs = open_inputs(
        order.inputs, order.columns, outputs=(order.out, *kept), stars=stars, max_hub_files=order.max_files
    )
    plan = _plan(order, inputs)
    jobs = order.jobs or num_processors()
    if dry_run:
        tell_plan(plan, inputs, jobs, order.engine)
        return None
    about = _about(order, plan, inputs)
    if (report := _complete(order.out, about)) is not None:
        # A run may have ended while it tidied up.
        shutil.rmtree(order.out / WORK, ignore_errors=True)
        console.print(f"{order.out} is complete: nothing to do.", markup=False)
        return report
    plan = replace(plan, order=hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16])
    with _alone_in(order.out, plan, about):
        # Another run may have finished while this one waited for the lock.
        report = _complete(order.out, about)
        if report is None:
            _work(order, plan, inputs, jobs, about)
            report = _publish(plan.place.path("done"), order.out)
        shutil.rmtree(order.out / WORK)
    tell_done(report, order.out)
    return report


def _work(order: Order, plan: Plan, inputs: Inputs, jobs: int, about: dict[str, Any]) -> None:
    if plan.place.path("done", "report.json").exists():
        return  # an earlier run ended while its output was being put in place
    began = time.monotonic()
    if is_first_run():
        console.print("The first run of this version compiles its loops: up to a minute, once.")
    run = Run(plan, Engine(order.engine, jobs, order.ray_address))
    try:
        notes = carry_out(run, list(inputs.units(plan.unit_bytes)))
    except KeyboardInterrupt:
        console.print("Stopped. What is done is kept: the same command goes on from there.")
        raise
    with explained_if_full(order.out / "report.json"):
        write_results(plan, inputs, notes, run, about, time.monotonic() - began)


def _publish(done: Path, out: Path) -> dict[str, Any]:
    """Move the output into DIR, the report last: where it is, all is. Returns the report."""
    for name in OUTPUT:
        if (done / name).exists():
            os.replace(done / name, out / name)
    return read_json(out / "report.json")


def _stars(order: Order) -> tuple[StarsOf | None, tuple[Path, ...]]:
    """Where stars come from, and the file that keeps what GitHub says: it changes, and a run shall be repeatable."""
    if order.stars is None:
        return None, ()
    if order.stars != "github":
        return stars_of(read_stars(order.stars)), ()
    cache = order.out.with_name(f"{order.out.name}.stars.csv")
    return GitHub(cache=cache), (cache,)


def _plan(order: Order, inputs: Inputs) -> Plan:
    for folder in order.against:
        _check_earlier(folder)
    return Plan(
        out=str(order.out.absolute()),
        stages=chosen_stages(order.stages),
        minhash=order.minhash,
        rules=load_rules(order.rulebook),
        budgets=dict(paper_budgets() if order.budgets is None else order.budgets),
        licences=order.licences,
        text_files=order.text_files,
        notebooks=order.notebooks,
        max_bytes=MAX_BYTES,
        unit_bytes=unit_bytes(inputs.total_bytes),
        opt_out=read_opt_out(order.opt_out) if order.opt_out else OptOut(),
        against=tuple(str(folder.absolute()) for folder in order.against),
        extra=extra_columns([table for table in inputs.tables if isinstance(table, ParquetTable)]),
    )


def _check_earlier(folder: Path) -> None:
    """Raise InputError unless all files that an earlier run kept are there."""
    if not (folder / "report.json").is_file() or not (folder / "kept").is_dir():
        raise InputError(f"--against {str(folder)!r} is not the output of a complete run of opencoder clean.")
    try:
        kept = read_json(folder / "report.json")["funnel"][-1]["files_after"]
    except (CorruptArtifact, LookupError, TypeError):
        raise InputError(f"--against {str(folder)!r}: its report.json is not one of opencoder clean.") from None
    if (there := num_rows(folder / "kept")) != kept:
        raise InputError(
            f"--against {str(folder)!r} was damaged: it kept {kept:,} files, and there are {there:,}. Make it again."
        )


def _about(order: Order, plan: Plan, inputs: Inputs) -> dict[str, Any]:
    """All that the output depends on, as JSON gives it back."""
    about = {
        "settings": plan.settings(),
        "columns": asdict(order.columns),
        "inputs": inputs.names,
        "inputs_fingerprint": inputs.fingerprint(),
        "stars": order.stars,
        "max_files": order.max_files,
        "rulebook_sha256": plan.rules.sha256,
        "opt_out_sha256": hashlib.sha256(repr(plan.opt_out.entries).encode()).hexdigest(),
        "against_sha256": [
            hashlib.sha256((folder / "report.json").read_bytes()).hexdigest() for folder in order.against
        ],
        "versions": versions() | {"opencoder": __version__},
        "library_sha256": library_hash(*TAKES_PART),
    }
    return json.loads(json.dumps(about))


def _check_folder(out: Path) -> None:
    # As a path, two slashes have become one. A single letter is a drive.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(out)):
        raise OutputFolderError(f"{str(out)!r} is an address. Name a folder; on a cluster, one that all nodes see.")
    if printable_path(str(out)) != str(out):
        raise OutputFolderError(f"The name of the output, {printable_path(str(out))!r}, is not UTF-8. Choose another.")
    if out.exists() and not out.is_dir():
        raise OutputFolderError(f"{str(out)!r} is a file. Name a folder for the output.")
    # A folder of work with neither is somebody else's, unless it is empty: a run may have ended before it had a lock.
    ours = any((out / name).is_file() for name in (f"{WORK}/lock", f"{WORK}/run.json", "report.json"))
    if out.is_dir() and not ours and any(path != out / WORK for path in out.rglob("*")):
        raise OutputFolderError(f"{str(out)!r} holds other files. Name an empty folder, or a new one.")


def _complete(out: Path, about: dict[str, Any]) -> dict[str, Any] | None:
    """The report of a finished run of the same order, null if none is there. Refuses to write over another one."""
    if not (out / "report.json").is_file():
        return None
    try:
        report = read_json(out / "report.json")
        known = dict(report["about"])
    except (CorruptArtifact, LookupError, TypeError, ValueError):
        raise OutputFolderError(f"{str(out)!r} holds a report.json that is not ours. Name another folder.") from None
    if differs := sorted(name for name in about if known.get(name) != about[name]):
        raise OutputFolderError(
            f"{str(out)!r} holds the output of another run, which differs in {' and '.join(differs)}. Name another "
            "folder, or remove this one."
        )
    return report


@contextmanager
def _alone_in(out: Path, plan: Plan, about: dict[str, Any]) -> Iterator[None]:
    """Keep DIR/.work for one process; throw away what runs of other orders left there."""
    try:
        (out / WORK).mkdir(parents=True, exist_ok=True)
        lock = (out / WORK / "lock").open("a+b")
    except OSError as error:
        raise OutputFolderError(f"{str(out)!r} cannot be written ({error.strerror}). Name another folder.") from None
    with lock:
        if fcntl:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OutputFolderError(f"Another run is writing {str(out)!r} at this moment. Wait for it.") from None
        _keep_what_fits(out / WORK, plan, about)
        yield


def _keep_what_fits(work: Path, plan: Plan, about: dict[str, Any]) -> None:
    noted, before = work / "run.json", None
    with suppress(FileNotFoundError, CorruptArtifact):
        before = read_json(noted)
    if before == about:
        console.print("Going on with what an earlier run has done.")
    elif before is not None:
        differs = " and ".join(sorted(name for name in {*about, *before} if about.get(name) != before.get(name)))
        console.print(f"An unfinished run differed in {differs}: starting afresh.", markup=False)
    for path in work.iterdir():
        if path.is_dir() and path.name != plan.order:
            shutil.rmtree(path)
    if before == about or (work.parent / "report.json").is_file():
        return
    # Of an output that was being put in place when its run ended, and that nobody asks for any more.
    for name in ("kept", "removed") if before is not None else ():
        shutil.rmtree(work.parent / name, ignore_errors=True)
    with explained_if_full(noted):
        write_json(noted, about)
