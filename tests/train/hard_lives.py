"""Runs that are killed again and again, and runs on two processes, as a program: prints what became of them as JSON.

Each life is a forked process (forking costs milliseconds, starting Python and torch costs seconds) that resumes, trains
and saves, and gets SIGKILL from itself at a chosen system call, or from outside after a chosen time.
"""

import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import torch

from opencoder_lib import durable
from opencoder_lib.train import checkpoint, parallel
from opencoder_lib.train.export import export
from opencoder_lib.train.identity import OtherRun, identity
from opencoder_lib.train.job.log import RunLog, read_log
from opencoder_lib.train.loop import Feed, start_run, train
from opencoder_lib.train.mixture import Mixture
from opencoder_lib.train.model import Shape, build_model
from opencoder_lib.train.optim import Recipe
from opencoder_lib.train.perplexity import HeldOut
from opencoder_lib.train.schedule import WSD
from opencoder_lib.train.tokenizer import train_tokenizer

SHAPE = Shape(vocab=280, hidden=16, layers=1, heads=2, kv_heads=2, ffn=24, context=8, tied=True)
PLAN = WSD(num_steps=24, num_warmup=3, num_decay=8, peak=0.02, final=0.001)
FEED = Feed(batch_size=2, context=8, seed=0)
TOKENIZER = train_tokenizer(["def add(left, right):\n    return left + right\n"], 270)
# Where a write can be cut off: as a file is opened, forced to disk, renamed, removed.
CALLS = [(os, "fsync"), (os, "replace"), (durable.shutil, "rmtree"), (torch, "save")]


def source():
    tokens = np.random.default_rng(0).integers(0, 280, 600)
    return Mixture({"a": tokens[:300], "b": tokens[300:]}, {"a": 3, "b": 1})


def live(folder: Path, save_every: int) -> None:
    """Resume, train to the end, export the result's hash."""
    run = start_run(build_model(SHAPE, 0), Recipe("muon"))
    about = identity(run.model, source(), PLAN, FEED, Recipe("muon"))
    checkpoints = checkpoint.Checkpoints(folder / "checkpoints", about, keep_last=2, say=lambda text: None)
    checkpoints.resume(run)
    log = RunLog(folder / "log.jsonl", run.log, run.evaluations)

    def save(run):
        log.sync()
        checkpoints.save(run)

    train(run, source(), PLAN, FEED, save=save, save_every=save_every, log=log)
    weights = b"".join(p.detach().numpy().tobytes() for p in run.model.parameters())
    states = repr([o.state_dict() for o in run.optimizers])
    found = {"weights": hashlib.sha256(weights).hexdigest(), "optimizers": states, "log": run.log}
    (folder / "end.json").write_text(json.dumps(found))


def kill_at(number: int) -> None:
    """The `number`-th of the watched calls does not return: half of them die before it, half after."""
    left = [number]

    def watched(call):
        def replacement(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0 and number % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*args, **kwargs)
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return replacement

    for module, name in CALLS:
        setattr(module, name, watched(getattr(module, name)))


def life(folder: Path, save_every: int, call: int = 0, seconds: float = 0.0) -> bool:
    """One life, ended at a call or after some time; whether it was killed."""
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        with contextlib.suppress(BaseException):
            if call:
                kill_at(call)
            live(folder, save_every)
            os._exit(0)
        os._exit(1)
    if seconds:
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    ending = os.waitpid(child, 0)[1]
    if os.WIFEXITED(ending) and os.WEXITSTATUS(ending):
        raise SystemExit("a life ended by itself with an error")
    return os.WIFSIGNALED(ending)


def story(folder: Path, save_every: int, aimed: range, num_random: int) -> dict:
    """Lives until one reaches the end; what it left, and how often it was killed."""
    folder.mkdir()
    dice = random.Random(0)
    killed = sum(life(folder, save_every, call=number) for number in aimed)
    for _ in range(num_random):
        killed += life(folder, save_every, seconds=dice.uniform(0.005, 0.12))
    while life(folder, save_every):
        pass
    rows = [{k: v for k, v in row.items() if k in ("step", "loss")} for row in read_log(folder / "log.jsonl")]
    left = sorted(path.name for path in (folder / "checkpoints").iterdir())
    return json.loads((folder / "end.json").read_text()) | {"killed": killed, "rows": rows, "left": left}


def two(work, folder: Path, strategy: str) -> list:
    """What `work(run, checkpoints)` gives on each of two processes that train together."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    children = []
    for rank in range(2):
        if child := os.fork():
            children.append(child)
            continue
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": port}
        torch.set_num_threads(1)
        try:
            with parallel.team("cpu"):
                run = start_run(build_model(SHAPE, 0), Recipe("muon"), strategy=strategy)
                about = identity(run.model, source(), PLAN, FEED, Recipe("muon"), world_size=2)
                told = []
                checkpoints = checkpoint.Checkpoints(folder, about, keep_last=9, say=told.append)
                found = {"given": work(run, checkpoints), "told": told, "log": run.log, "scores": run.evaluations}
                found["weights"] = [_numbers(p) for p in run.model.parameters()]
                found["states"] = [_numbers(v) for o in run.optimizers for s in o.state.values() for v in s.values()]
            (folder.parent / f"{folder.name}.{rank}").write_text(json.dumps(found))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if any(os.waitpid(child, 0)[1] for child in children):
        raise SystemExit("a process failed")
    return [json.loads((folder.parent / f"{folder.name}.{rank}").read_text()) for rank in range(2)]


def _numbers(tensor) -> list[float]:
    tensor = tensor.detach()
    return (tensor.to_local() if hasattr(tensor, "to_local") else tensor).flatten().tolist()


def spread(folder: Path, strategy: str) -> dict:
    """A run on two processes, the same from a checkpoint of its half after a damage, and what one process is told."""
    windows = np.arange(24).reshape(3, 8)
    held_out = HeldOut(windows, windows + 1, windows * 0, np.array([90]))

    def on(run, checkpoints, until):
        train(run, source(), PLAN, FEED, until=until, held_out=held_out, evaluate_every=3, save=checkpoints.save,
              save_every=6)  # fmt: skip

    def first(run, checkpoints):
        export(run.model, TOKENIZER, folder.with_name(f"{strategy}-model"))
        on(run, checkpoints, 12)

    def again(run, checkpoints):
        path = checkpoints.resume(run)
        on(run, checkpoints, 12)
        return path.name

    whole = two(first, folder, strategy)
    damaged = folder / "step-00000012" / "rank-00001.pt"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    resumed = two(again, folder, strategy)
    alone = start_run(build_model(SHAPE, 0), Recipe("muon"))
    about = identity(alone.model, source(), PLAN, FEED, Recipe("muon"), world_size=1)
    try:
        checkpoint.Checkpoints(folder, about).resume(alone)
    except OtherRun as error:
        refused = str(error)
    return {"whole": whole, "resumed": resumed, "refused": refused, "left": sorted(os.listdir(folder))}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    found = {"whole": story(place / "whole", 2, range(0), 0), "killed": story(place / "killed", 2, range(1, 26), 8)}
    print(json.dumps(found | {name: spread(place / name, name) for name in ("ddp", "fsdp")}))
