"""Exact, atomic checkpoints: a run that was cut off goes on as if it had not been.

    FOLDER/step-00000200/manifest.json    step, identity, and of every file its size and SHA-256; written last
                         records.json     the run's log and evaluations
                         rank-00000.pt    weights, optimizers and random generators of process 0; one file a process

A checkpoint is written under another name, forced to disk and renamed: `kill -9` at any moment leaves the ones before,
or those and the new one. Reading one runs no code that it might carry. Sharded weights are not gathered: each process
writes and reads its own part, so a run goes on with as many processes as it had.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from functools import partial as bound
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from opencoder_lib import __version__
from opencoder_lib.durable import (
    CannotWrite,
    as_json,
    existing,
    explained,
    file_sha256,
    in_bytes,
    put_in_place,
    remove_folder,
    sync_folder,
    tidy,
    write_durably,
)
from opencoder_lib.errors import CookbookError, CorruptArtifact, InputError
from opencoder_lib.train import parallel
from opencoder_lib.train.identity import ALL, Identity, OtherRun, check_same
from opencoder_lib.train.runfile import load_run, save_run
from opencoder_lib.train.state import capture, is_sharded, restore, set_random_state

__all__ = ["Checkpoints", "load_run", "read_manifest", "save_run"]

FORMAT = 1
NAME = re.compile(r"step-(\d{8,})")
MANIFEST, RECORDS = "manifest.json", "records.json"


class Checkpoints:
    """The checkpoints of one run in `folder`. Every process of the run calls the same methods together.

    keep_last: how many stay; older ones go once a new one is in place. say: is told, on the first process, what the
    user should know.
    """

    def __init__(self, folder: Path, identity: Identity, keep_last: int = 2, say: Callable[[str], Any] = print):
        self.folder, self.identity = Path(folder), identity
        self.keep_last, self.say = max(keep_last, 1), say
        self.rank, self.world_size = parallel.rank(), parallel.world_size()

    def steps(self) -> dict[int, Path]:
        """Where the checkpoint of each step lies, the newest first."""
        names = self.folder.iterdir() if self.folder.is_dir() else ()
        found = {int(match[1]): path for path in names if (match := NAME.fullmatch(path.name))}
        return dict(sorted(found.items(), reverse=True))

    def save(self, run: Any) -> Path:
        """Write the state of `run` and return where; then remove what is older than the last `keep_last`.

        Raises CannotWrite on every process when one of them could not write; the checkpoints before stay.
        """
        target = self.folder / f"step-{run.step:08d}"
        partial = self.folder / f".{target.name}.partial"
        sharded = is_sharded(run.model)
        self._first(bound(self._open, partial, run))
        files: dict[str, Any] = {}
        try:
            for written in self._together(bound(self._write, partial, run)):
                files |= written
            self._first(bound(self._close, partial, target, run.step, sharded, files))
        except CookbookError:
            if self.rank == 0:
                shutil.rmtree(partial, ignore_errors=True)
            raise
        return target

    def resume(self, run: Any) -> Path | None:
        """Put `run` where its newest whole checkpoint left it and return that; None when there is none.

        A damaged one is set aside under the name step-….damaged, with a note, and the one before is taken. Raises
        OtherRun when a checkpoint is not of this run, CorruptArtifact when all are damaged.
        """
        self._first(bound(tidy, self.folder, _is_checkpoint))
        damaged: list[tuple[Path, CorruptArtifact]] = []
        for path in self.steps().values():
            try:
                self.load(run, path)
            except CorruptArtifact as error:
                damaged.append((path, error))
                continue
            self._first(bound(self._set_aside, damaged, path))
            return path
        if damaged:
            raise CorruptArtifact(
                f"{damaged[0][1]} No checkpoint in {self.folder} is whole. Start anew (--fresh), or bring one back."
            )
        return None

    def load(self, run: Any, path: Path, parts: Sequence[str] = ALL) -> None:
        """Put `run` where the checkpoint at `path` left it, and the random generators of this process.

        parts: of the identity that must agree; all but some for a branch, which goes on from here under another plan
        or over other data. Raises OtherRun or CorruptArtifact before anything has changed.
        """
        manifest = read_manifest(path)
        check_same(manifest["identity"], self.identity, str(path), manifest["step"], parts)
        if manifest["sharded"] != is_sharded(run.model):
            raise OtherRun(
                f"{path} was written {'with' if manifest['sharded'] else 'without'} sharding the weights, and this "
                f'run differs in that. Set parallel.strategy = "{"fsdp" if manifest["sharded"] else "ddp"}".'
            )
        if manifest["sharded"]:
            # Each process takes its own part, also where the run may differ in its plan.
            check_same(manifest["identity"], self.identity, str(path), manifest["step"], ("world_size",))
        states = self._together(bound(self._read, path, manifest), share=False)
        restore(run, states["weights"], str(path))
        run.log[:], run.evaluations[:] = states["records"]["log"], states["records"]["evaluations"]
        run.saved_step = run.step
        if "own" in states:
            set_random_state(states["own"]["random"], run.device)

    def _open(self, partial: Path, run: Any) -> None:
        with explained(partial):
            self.folder.mkdir(parents=True, exist_ok=True)
            tidy(self.folder, _is_checkpoint)
            partial.mkdir()
        needed = _num_bytes(capture(run)) * (self.world_size if is_sharded(run.model) else 1)
        free = shutil.disk_usage(existing(partial)).free
        if needed > free:
            partial.rmdir()
            raise CannotWrite(
                f"The checkpoint of step {run.step} takes {in_bytes(needed)}, and {in_bytes(free)} are free in "
                f"{self.folder}. Make room (the last {self.keep_last} are kept, and one more while it is written), "
                "then give the same command again."
            )

    def _write(self, partial: Path, run: Any) -> dict[str, Any]:
        # Unsharded processes hold the same weights: the first writes them for all.
        state = capture(run, with_weights=self.rank == 0 or is_sharded(run.model))
        name = _rank_file(self.rank)
        written = {name: write_durably(partial / name, bound(torch.save, state))}
        if self.rank == 0:
            records = as_json({"log": run.log, "evaluations": run.evaluations})
            written[RECORDS] = write_durably(partial / RECORDS, lambda file: file.write(records))
        return written

    def _close(self, partial: Path, target: Path, step: int, sharded: bool, files: dict[str, Any]) -> None:
        about = {
            "format": FORMAT,
            "step": step,
            "sharded": sharded,
            "identity": self.identity,
            "notes": {"torch": torch.__version__, "opencoder": __version__},
            "files": files,
        }
        sealed = as_json(about | {"sha256": _seal(about)})
        write_durably(partial / MANIFEST, lambda file: file.write(sealed))
        with explained(target):
            sync_folder(partial)
            put_in_place(partial, target)
            older = [path for other, path in self.steps().items() if other < step]
            for path in older[self.keep_last - 1 :]:
                remove_folder(path)

    def _read(self, path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
        _check_file(path, RECORDS, manifest)
        states = {"records": json.loads((path / RECORDS).read_bytes())}
        names = {"weights": _rank_file(self.rank if manifest["sharded"] else 0)}
        # A branch on more processes than wrote the checkpoint has no generators of its own there, and needs none.
        if (own := _rank_file(self.rank)) in manifest["files"]:
            names["own"] = own
        for name in dict.fromkeys(names.values()):
            _check_file(path, name, manifest)
        loaded = {name: _load(path / name) for name in dict.fromkeys(names.values())}
        return states | {key: loaded[name] for key, name in names.items()}

    def _set_aside(self, damaged: list[tuple[Path, CorruptArtifact]], taken: Path) -> None:
        for path, error in damaged:
            aside = path.with_name(f"{path.name}.damaged")
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(path, aside)
            self.say(f"{error} It is set aside as {aside.name}; going on from {taken.name}.")

    def _first(self, work: Callable[[], Any]) -> None:
        """Do `work` on the first process while the others wait; what it raises is raised on all."""
        self._together(work if self.rank == 0 else lambda: None)

    def _together(self, work: Callable[[], Any], share: bool = True) -> Any:
        """Do `work` on every process; an error of one becomes an error of all, so that none waits for ever.

        Returns the results of all processes, or with share=False this one's alone.
        """
        result, error = None, None
        try:
            result = work()
        except CookbookError as found:
            error = found
        if self.world_size == 1:
            if error:
                raise error
            return [result] if share else result
        outcomes = [None] * self.world_size
        torch.distributed.all_gather_object(outcomes, (error, result if share else None))
        if errors := [found for found, _ in outcomes if found is not None]:
            raise errors[0]
        return [found for _, found in outcomes] if share else result


def read_manifest(path: Path) -> dict[str, Any]:
    """What the checkpoint in the folder `path` says it is. Raises InputError when there is none, or CorruptArtifact."""
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"There is no checkpoint {path}.")
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        seal = manifest.pop("sha256")
    except (OSError, ValueError, AttributeError, KeyError):
        raise CorruptArtifact(f"{path / MANIFEST} is missing or cannot be read: the checkpoint is damaged.") from None
    if seal != _seal(manifest):
        raise CorruptArtifact(f"{path / MANIFEST} was changed after it was written: the checkpoint is damaged.")
    if manifest["format"] != FORMAT:
        raise CorruptArtifact(f"{path} has format {manifest['format']}; this version reads format {FORMAT}.")
    return manifest


def _check_file(path: Path, name: str, manifest: dict[str, Any]) -> None:
    file, said = path / name, manifest["files"].get(name)
    if said is None or not file.is_file():
        raise CorruptArtifact(f"{file} is missing: the checkpoint is damaged.")
    if (size := file.stat().st_size) != said["bytes"]:
        raise CorruptArtifact(f"{file} has {size:,} bytes, not {said['bytes']:,}: it was cut off or changed.")
    if (found := file_sha256(file)) != said["sha256"]:
        raise CorruptArtifact(f"{file} has SHA-256 {found[:12]}…, not {said['sha256'][:12]}…: it was changed.")


def _load(file: Path) -> dict[str, Any]:
    try:
        # Mapped, not read: a checkpoint of many gigabytes is then in memory once, where it is used.
        return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CorruptArtifact(f"{file} holds more than tensors and plain values, so it is not read: {reason}") from None


def _seal(about: dict[str, Any]) -> str:
    return hashlib.sha256(as_json(about)).hexdigest()


def _is_checkpoint(name: str) -> bool:
    return NAME.fullmatch(name) is not None


def _rank_file(rank: int) -> str:
    return f"rank-{rank:05d}.pt"


def _num_bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, dict):
        return sum(map(_num_bytes, value.values()))
    return sum(map(_num_bytes, value)) if isinstance(value, list | tuple) else 0
