import json
import os
import pickle
import random
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from opencoder_lib import durable
from opencoder_lib.durable import CannotWrite
from opencoder_lib.errors import CorruptArtifact, InputError
from opencoder_lib.train import checkpoint
from opencoder_lib.train.checkpoint import Checkpoints, read_manifest
from opencoder_lib.train.identity import OtherRun, identity
from opencoder_lib.train.loop import Feed, start_run, train
from opencoder_lib.train.mixture import Mixture
from opencoder_lib.train.model import Shape, build_model
from opencoder_lib.train.optim import Recipe
from opencoder_lib.train.perplexity import HeldOut
from opencoder_lib.train.schedule import WSD

SHAPE = Shape(vocab=280, hidden=32, layers=2, heads=2, kv_heads=2, ffn=64, context=16, tied=True)
SMALL = Shape(vocab=280, hidden=16, layers=1, heads=2, kv_heads=2, ffn=24, context=8, tied=True)  # of hard_lives.py
PLAN = WSD(num_steps=14, num_warmup=3, num_decay=6, peak=0.02, final=0.001)
FEED = Feed(batch_size=4, context=16, seed=0)
TOKENS = np.random.default_rng(0).integers(0, 280, 900)
SOURCE = Mixture({"code": TOKENS[:600], "exercises": TOKENS[600:]}, {"code": 0.8, "exercises": 0.2})
HELD_OUT = HeldOut(TOKENS[:32].reshape(2, 16), TOKENS[1:33].reshape(2, 16), np.zeros((2, 16), int), np.array([60]))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fresh(optimizer="muon", shape=SHAPE):
    return start_run(build_model(shape, 0), Recipe(optimizer))


def about(run, source=SOURCE, plan=PLAN, feed=FEED, optimizer="muon", world_size=1):
    return identity(run.model, source, plan, feed, Recipe(optimizer), world_size, {"precision": "auto"})


def trained(optimizer, precision, run=None, **options):
    options |= {"held_out": HELD_OUT, "evaluate_every": 4, "precision": precision}
    return train(run or fresh(optimizer), SOURCE, PLAN, FEED, **options)


def everything(run):
    """Weights and optimizer state of a run, bit by bit."""
    found = [parameter.detach() for parameter in run.model.parameters()]
    for optimizer in run.optimizers:
        for state in optimizer.state_dict()["state"].values():
            found += [value for _, value in sorted(state.items()) if isinstance(value, torch.Tensor)]
    return [value.numpy().tobytes() for value in found]


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_run_is_bit_for_bit_the_run_that_was_never_stopped(tmp_path, optimizer, precision):
    whole = trained(optimizer, precision)
    saved = fresh(optimizer)
    checkpoints = Checkpoints(tmp_path, about(saved, optimizer=optimizer), keep_last=99)
    trained(optimizer, precision, saved, save=checkpoints.save, save_every=1)
    # In the warm-up, before and at a measurement, in the first and before the last step of the decay.
    for stop in (2, 7, 8, 9, 13):
        run = fresh(optimizer)
        checkpoints.load(run, tmp_path / f"step-{stop:08d}")
        assert run.step == run.saved_step == len(run.log) == stop
        trained(optimizer, precision, run)
        assert everything(run) == everything(whole)
        assert (run.log, run.evaluations) == (whole.log, whole.evaluations)


def test_the_random_generators_go_on_where_they_stood(tmp_path):
    run = fresh()
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    np.random.standard_normal()  # leaves a second number in store, which belongs to the state
    Checkpoints(tmp_path, about(run)).save(run)
    first = random.random(), np.random.standard_normal(3).tolist(), torch.rand(3).tolist()
    Checkpoints(tmp_path, about(run)).resume(fresh())
    assert (random.random(), np.random.standard_normal(3).tolist(), torch.rand(3).tolist()) == first


def test_the_last_k_stay_and_a_folder_without_any_is_a_fresh_start(tmp_path):
    run = fresh()
    checkpoints = Checkpoints(tmp_path / "new", about(run), keep_last=2)
    assert checkpoints.resume(run) is None
    train(run, SOURCE, PLAN, FEED, until=5, save=checkpoints.save, save_every=1)
    assert sorted(os.listdir(tmp_path / "new")) == ["step-00000004", "step-00000005"]


def test_leftovers_of_a_killed_write_are_tidied_and_what_is_not_ours_stays(tmp_path):
    run = fresh()
    checkpoints = Checkpoints(tmp_path, about(run))
    checkpoints.save(run)
    (tmp_path / ".step-00000007.partial").mkdir()
    (tmp_path / ".step-00000005.removed").mkdir()
    (tmp_path / ".mine.partial").mkdir()
    (tmp_path / "step-00000000").rename(tmp_path / ".step-00000000.replaced")
    assert checkpoints.resume(run) == tmp_path / "step-00000000"
    assert sorted(os.listdir(tmp_path)) == [".mine.partial", "step-00000000"]


def test_a_step_that_is_saved_again_replaces_the_one_before(tmp_path):
    run = fresh()
    checkpoints = Checkpoints(tmp_path, about(run))
    checkpoints.save(run)
    with torch.no_grad():
        run.model.model.norm.weight.fill_(2.0)
    checkpoints.save(run)
    again = fresh()
    checkpoints.resume(again)
    assert again.model.model.norm.weight.unique().tolist() == [2.0]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"shape": Shape(280, 48, 2, 2, 2, 64, 16, tied=True)}, r"of another model: hidden is 32 there and 48 here"),
        ({"source": Mixture({"code": TOKENS[:500], "exercises": TOKENS[600:]}, {"code": 0.8, "exercises": 0.2})},
         r"of other data: sources\.code\.num_tokens is 600 there and 500 here \(and 3 more\)"),
        ({"source": Mixture({"code": TOKENS[:600], "exercises": TOKENS[600:]}, {"code": 0.6, "exercises": 0.4})},
         r"of other data: weights\.code is 0\.8 there and 0\.6 here"),
        ({"plan": WSD(14, 3, 6, 0.01, 0.001)}, r"of another plan: peak is 0\.02 there and 0\.01 here"),
        ({"feed": Feed(8, 16, 0)}, r"of another feed: batch_size is 4 there and 8 here"),
        ({"optimizer": "adamw"}, r"of another optimizer: optimizer is 'muon' there and 'adamw' here"),
        ({"world_size": 2}, r"of another number of processes: world_size is 1 there and 2 here.*torchrun"),
    ],
)  # fmt: skip
def test_a_checkpoint_of_another_run_is_refused_by_name_and_nothing_changes(tmp_path, other, message):
    run = train(fresh(), SOURCE, PLAN, FEED, until=2)
    Checkpoints(tmp_path, about(run)).save(run)
    mine = fresh(other.get("optimizer", "muon"), other.pop("shape", SHAPE))
    before = everything(mine)
    with pytest.raises(OtherRun, match=message) as refused:
        Checkpoints(tmp_path, about(mine, **other)).resume(mine)
    assert "start anew in another folder" in str(refused.value)
    assert everything(mine) == before
    assert mine.step == 0


def test_a_branch_of_sharded_weights_needs_as_many_processes_as_its_trunk(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "is_sharded", lambda _: True)
    run = fresh()
    path = Checkpoints(tmp_path, about(run, world_size=1)).save(run)
    with pytest.raises(OtherRun, match="of another number of processes: world_size is 1 there and 4 here"):
        Checkpoints(tmp_path, about(run, world_size=4)).load(run, path, ("model", "optimizer"))


def test_a_plan_that_was_the_same_so_far_may_go_on_for_longer(tmp_path):
    run = train(fresh(), SOURCE, PLAN, FEED, until=8)
    Checkpoints(tmp_path, about(run)).save(run)
    longer = WSD(num_steps=40, num_warmup=3, num_decay=6, peak=0.02, final=0.001)
    assert Checkpoints(tmp_path, about(run, plan=longer)).resume(fresh()) is not None
    train(run, SOURCE, PLAN, FEED, until=9)
    Checkpoints(tmp_path, about(run)).save(run)
    with pytest.raises(OtherRun, match="num_steps is 14 there and 40 here"):
        Checkpoints(tmp_path, about(run, plan=longer)).resume(fresh())


def damage(path, place=None):
    """Flip a bit in the middle, or cut the file there."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    if place == "cut":
        data = data[:middle]
    else:
        data[middle] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["rank-00000.pt", "records.json", "manifest.json"])
@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(tmp_path, name, how):
    told = []
    run = train(fresh(), SOURCE, PLAN, FEED, until=2)
    checkpoints = Checkpoints(tmp_path, about(run), say=told.append)
    checkpoints.save(run)
    checkpoints.save(train(run, SOURCE, PLAN, FEED, until=3))
    damage(tmp_path / "step-00000003" / name, how)
    again = fresh()
    with pytest.raises(CorruptArtifact, match=f"step-00000003/{name}"):
        checkpoints.load(again, tmp_path / "step-00000003")
    assert again.step == 0
    assert checkpoints.resume(again) == tmp_path / "step-00000002"
    assert again.step == 2
    assert len(told) == 1
    assert f"step-00000003/{name}" in told[0]
    assert "going on from step-00000002" in told[0]
    assert sorted(os.listdir(tmp_path)) == ["step-00000002", "step-00000003.damaged"]


def test_a_missing_file_or_no_whole_checkpoint_at_all_is_an_error_with_a_way_out(tmp_path):
    run = fresh()
    checkpoints = Checkpoints(tmp_path, about(run))
    (checkpoints.save(run) / "records.json").unlink()
    with pytest.raises(CorruptArtifact, match=r"records\.json is missing.*No checkpoint in .* is whole.*--fresh"):
        checkpoints.resume(run)
    with pytest.raises(InputError, match="There is no checkpoint"):
        read_manifest(tmp_path / "step-00000099")


class Harmful:
    def __reduce__(self):
        return os.system, ("touch harmed",)


def test_a_checkpoint_cannot_make_its_reader_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = fresh()
    checkpoints = Checkpoints(tmp_path, about(run))
    # A forger would also write a manifest that fits.
    monkeypatch.setattr(checkpoint, "capture", lambda run, with_weights=True: {"weights": Harmful()})
    path = checkpoints.save(run)
    with pytest.raises(CorruptArtifact, match=r"rank-00000\.pt holds more than tensors and plain values"):
        checkpoints.load(run, path)
    assert not (tmp_path / "harmed").exists()
    pickle.loads(pickle.dumps(Harmful()))
    assert (tmp_path / "harmed").exists(), "the attack works on a reader that is not careful"


def test_a_write_that_the_system_refuses_leaves_the_older_checkpoints(tmp_path):
    run = fresh()
    checkpoints = Checkpoints(tmp_path, about(run), keep_last=1)
    checkpoints.save(run)
    train(run, SOURCE, PLAN, FEED, until=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        with pytest.raises(CannotWrite, match=r"rank-00000\.pt could not be written: File too large"):
            checkpoints.save(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == ["step-00000000"]
    assert checkpoints.resume(fresh()) == tmp_path / "step-00000000"


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    run = fresh()
    checkpoints = Checkpoints(tmp_path, about(run))
    checkpoints.save(run)
    usage = durable.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda path: usage._replace(free=5_000))
    with pytest.raises(CannotWrite, match=r"step 0 takes 1\d\d\.\d kB, and 5\.0 kB are free"):
        checkpoints.save(run)
    assert os.listdir(tmp_path) == ["step-00000000"]


@pytest.fixture(scope="module")
def lives(tmp_path_factory):
    """What hard_lives.py did, and the folder it did it in."""
    folder = tmp_path_factory.mktemp("lives")
    program = Path(__file__).with_name("hard_lives.py")
    done = subprocess.run([sys.executable, str(program), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"folder": folder}


def test_a_run_that_is_killed_at_any_moment_ends_as_the_one_that_never_was(lives):
    whole, killed = lives["whole"], lives["killed"]
    assert whole["killed"] == 0
    assert killed["killed"] >= 20, "the aimed kills at least must have struck"
    for part in ("weights", "optimizers", "log", "rows"):
        assert killed[part] == whole[part]
    assert [row["step"] for row in killed["rows"]] == list(range(1, 25))
    assert killed["left"] == whole["left"] == ["step-00000022", "step-00000024"]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_resume_together_from_the_last_checkpoint_that_is_whole_for_both(lives, strategy):
    found = lives[strategy]
    for rank, (whole, resumed) in enumerate(zip(found["whole"], found["resumed"], strict=True)):
        assert resumed["given"] == "step-00000006"
        assert bool(resumed["told"]) == (rank == 0), "one process speaks for all"
        for part in ("log", "scores", "weights", "states"):
            assert resumed[part] == whole[part]
    # What was damaged is written anew beside what was set aside.
    assert found["left"] == ["step-00000006", "step-00000012", "step-00000012.damaged"]
    assert "rank-00001.pt" in found["resumed"][0]["told"][0]
    assert "world_size is 2 there and 1 here" in found["refused"]


def test_each_process_holds_and_writes_its_share_of_the_weights_under_fsdp_only(lives):
    whole = sum(p.numel() for p in build_model(SMALL, 0).parameters())
    held = {name: [sum(map(len, one["weights"])) for one in lives[name]["whole"]] for name in ("ddp", "fsdp")}
    assert held["ddp"] == [whole, whole]
    assert sum(held["fsdp"]) == whole
    sizes = {
        name: [(lives["folder"] / name / "step-00000006" / f"rank-0000{rank}.pt").stat().st_size for rank in (0, 1)]
        for name in ("ddp", "fsdp")
    }
    # Both keep random generators; of equal weights one copy is enough.
    assert sizes["ddp"][1] < sizes["fsdp"][1] < sizes["ddp"][0]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_an_export_from_two_processes_is_the_whole_model(lives, strategy):
    loaded = AutoModelForCausalLM.from_pretrained(lives["folder"] / f"{strategy}-model")
    for name, weight in build_model(SMALL, 0).named_parameters():
        assert torch.equal(loaded.get_parameter(name), weight)
