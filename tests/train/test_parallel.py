import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from opencoder_lib.errors import ConfigError
from opencoder_lib.train import parallel
from opencoder_lib.train.loop import start_run
from opencoder_lib.train.model import Shape, build_model
from opencoder_lib.train.perplexity import IGNORED, HeldOut, document_bits

# The same lines run here in one process and below in two. 7 held-out windows do not divide by 2.
SETUP = """
import numpy as np
from opencoder_lib.train.loop import Feed, branch, start_run, train
from opencoder_lib.train.model import Shape, build_model
from opencoder_lib.train.optim import Recipe
from opencoder_lib.train.perplexity import HeldOut
from opencoder_lib.train.schedule import WSD

shape = Shape(vocab=280, hidden=32, layers=2, heads=2, kv_heads=1, ffn=66, context=16, tied=True)
tokens = (np.arange(3_000) ** 2 % 271).astype(np.uint16)
windows = tokens[:112].reshape(7, 16).astype(np.int64)
held_out = HeldOut(windows, windows, np.repeat([0, 1], [3, 4])[:, None] + 0 * windows, np.array([150, 200]))
plan = WSD(num_steps=10, num_warmup=2, num_decay=3, peak=0.02, final=0.002)

def curve(strategy, optimizer="adamw", accumulate=1, **options):
    run = start_run(build_model(shape, 0), Recipe(optimizer), strategy=strategy, precision="float32")
    feed = Feed(batch_size=8, context=16, seed=0, accumulate=accumulate)
    train(run, tokens, plan, feed, until=5, held_out=held_out, evaluate_every=3, precision="float32", **options)
    rows = [(row["loss"], row["gradient_norm"]) for row in run.log]
    return np.ravel(rows).tolist() + [row["held_out_bits_per_byte"] for row in run.evaluations]

CASES = {
    "ddp": ("ddp",),
    "ddp, accumulated": ("ddp", "adamw", 2),
    "fsdp": ("fsdp",),
    "fsdp, accumulated": ("fsdp", "adamw", 2),
    "fsdp, muon": ("fsdp", "muon"),
}
"""

PROGRAM = (
    SETUP
    + """
import json, sys, torch
from opencoder_lib.errors import ConfigError
from opencoder_lib.train import parallel

torch.set_num_threads(1)
with parallel.team("cpu") as team:
    found = {name: curve(*case) for name, case in CASES.items()}
    found["ddp, read by threes"] = curve("ddp", read_every=3)
    found["fsdp, recomputed"] = curve("fsdp", recompute=True)
    sharded = start_run(build_model(shape, 0), strategy="fsdp")
    try:
        branch(sharded)
    except ConfigError as error:
        found["refused"] = str(error)
    kinds = []
    halved = start_run(build_model(shape, 0), strategy="fsdp", precision="bfloat16")
    for layer in halved.model.model.layers:
        layer.register_forward_pre_hook(lambda _, inputs: kinds.append(str(inputs[0].dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        halved.module(torch.zeros(2, 16, dtype=torch.int64))
    found["kinds"] = kinds
    found["share"] = sum(p.to_local().numel() for p in sharded.model.parameters())
    try:
        train(start_run(build_model(shape, 0)), tokens, plan, Feed(6, 16, 0, accumulate=2))
    except ConfigError as error:
        found["batch"] = str(error)
    found["sum"] = parallel.sum_over_ranks(torch.tensor([team.rank + 1.0])).item()
    parallel.barrier()
    with open(sys.argv[1] + str(team.rank), "w") as file:
        json.dump(found, file)
"""
)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "program.py").write_text(PROGRAM)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*start, folder / "program.py", folder / "rank"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"rank{number}").read_text()) for number in range(2)]


@pytest.fixture(scope="module")
def alone():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    here = {}
    exec(SETUP, here)
    yield {name: here["curve"](*case) for name, case in here["CASES"].items()}
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["ddp", "ddp, accumulated", "fsdp", "fsdp, accumulated"])
def test_two_processes_learn_what_one_learns_from_the_same_batch(ranks, alone, name):
    assert ranks[0][name] == pytest.approx(alone[name], rel=1e-5)
    assert ranks[1][name] == ranks[0][name], "every rank knows the loss of the whole batch"


def test_losses_that_are_read_some_steps_at_a_time_are_summed_over_contiguous_memory(ranks, monkeypatch):
    assert ranks[0]["ddp, read by threes"] == ranks[0]["ddp"]
    # NCCL refuses what gloo may take.
    summed = []
    monkeypatch.setattr(parallel, "sum_over_ranks", lambda values: summed.append(values) or values)
    here = {}
    exec(SETUP, here)
    here["curve"]("ddp", read_every=3)
    assert all(values.is_contiguous() for values in summed)
    assert [len(values) for values in summed if values.ndim] == [3, 2]


def test_accumulating_changes_nothing_but_roundings(alone):
    assert alone["ddp, accumulated"] == pytest.approx(alone["ddp"], rel=1e-5)


def test_muon_steps_sharded_matrices_as_it_steps_whole_ones(ranks, alone):
    # Its iteration runs in bfloat16, whose roundings depend on how a product is cut up.
    assert ranks[0]["fsdp, muon"] == pytest.approx(alone["fsdp, muon"], rel=2e-3)


def test_recomputing_sharded_layers_changes_nothing(ranks):
    assert ranks[0]["fsdp, recomputed"] == pytest.approx(ranks[0]["fsdp"], rel=1e-6)


def test_sums_along_the_layers_are_float32_where_sharded_weights_are_gathered_in_bfloat16(ranks):
    assert ranks[0]["kinds"] == ["torch.float32", "torch.float32"]


def test_each_process_holds_half_of_a_sharded_model(ranks):
    whole = sum(p.numel() for p in build_model(Shape(280, 32, 2, 2, 1, 66, 16, tied=True), 0).parameters())
    assert ranks[0]["share"] + ranks[1]["share"] == whole
    assert ranks[0]["share"] == pytest.approx(whole / 2, rel=0.01)


def test_what_cannot_be_done_by_two_is_refused(ranks):
    assert "Save a checkpoint" in ranks[0]["refused"]
    assert "batch_size=6 does not split into accumulate=2 micro-batches on each of 2" in ranks[0]["batch"]


def test_sums_are_over_all_processes(ranks):
    assert ranks[0]["sum"] == ranks[1]["sum"] == 3


def test_a_process_alone_is_rank_0_of_1_and_needs_no_wrapping(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with parallel.team("cpu") as team:
        assert (team.rank, team.world_size, team.device.type) == (0, 1, "cpu")
    assert (parallel.rank(), parallel.world_size(), parallel.is_first(), parallel.is_parallel()) == (0, 1, True, False)
    parallel.barrier()
    run = start_run(build_model(Shape(64, 16, 1, 2, 2, 24, 8), 0), strategy="fsdp")
    assert not parallel.is_sharded(run.module)


def test_more_processes_than_accelerators_are_refused(monkeypatch):
    monkeypatch.setattr(parallel, "pick_device", torch.device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "3"}.items():
        monkeypatch.setenv(name, value)
    said = r"Process 3 .* torch sees 2\. Start torchrun with --nproc-per-node 2"
    with pytest.raises(ConfigError, match=said), parallel.team("cuda"):
        pass


def test_an_unknown_strategy_is_answered_with_the_near_one():
    with pytest.raises(ConfigError, match=r"no strategy 'fsdp2'\. Did you mean fsdp"):
        start_run(build_model(Shape(64, 16, 1, 2, 2, 24, 8), 0), strategy="fsdp2")


def test_the_shares_of_a_held_out_set_add_up_to_the_whole(monkeypatch):
    model = build_model(Shape(64, 16, 1, 2, 2, 24, 8), 0)
    windows = np.arange(5 * 8).reshape(5, 8)
    targets = np.where(windows % 7, windows, IGNORED)
    held_out = HeldOut(windows, targets, np.repeat([0, 0, 1, 1, 2], 8).reshape(5, 8), np.array([9, 9, 9]))
    whole = document_bits(model, held_out, precision="float32")
    parts = []
    for number in range(3):
        monkeypatch.setattr(parallel, "is_parallel", lambda: True)
        monkeypatch.setattr(parallel, "world_size", lambda: 3)
        monkeypatch.setattr(parallel, "rank", lambda number=number: number)
        part = parallel.share_of(held_out)
        assert len(part.inputs_WT) == 2, "equally many for all, though 5 windows do not divide by 3"
        parts.append(document_bits(model, part, precision="float32"))
    assert sum(parts) == pytest.approx(whole, rel=1e-6)
