import hashlib
import os

import numpy as np
import pytest
import torch

from opencoder_lib.errors import ConfigError, CorruptArtifact, InputError
from opencoder_lib.train.checkpoint import load_run, save_run
from opencoder_lib.train.loop import Feed, branch, start_run, train
from opencoder_lib.train.model import Shape, build_model
from opencoder_lib.train.optim import Recipe
from opencoder_lib.train.schedule import WSD

SHAPE = Shape(vocab=280, hidden=32, layers=2, heads=2, kv_heads=2, ffn=64, context=16, tied=True)
PLAN = WSD(num_steps=12, num_warmup=3, num_decay=4, peak=0.02, final=0.001)
FEED = Feed(batch_size=4, context=16, seed=0)
TOKENS = np.random.default_rng(0).integers(0, 280, 900)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trunk(optimizer="muon"):
    recipe = Recipe(optimizer, betas=(0.8, 0.9), weight_decay=0.1, embedding_rate=0.5)
    return train(start_run(build_model(SHAPE, 0), recipe), TOKENS, PLAN, FEED, until=8)


def weights(run):
    return torch.cat([p.detach().flatten() for p in run.model.parameters()])


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_branch_from_a_stored_trunk_is_the_branch_from_the_trunk_itself(tmp_path, optimizer):
    run = trunk(optimizer)
    save_run(run, tmp_path / "trunk.run")
    random_before = torch.get_rng_state()
    stored = load_run(tmp_path / "trunk.run")
    assert torch.equal(torch.get_rng_state(), random_before)
    here, there = (train(branch(one), TOKENS, PLAN, FEED) for one in (run, stored))
    assert torch.equal(weights(here), weights(there))
    assert here.log == there.log


def test_equal_runs_give_equal_files_and_nothing_else_is_left_in_the_folder(tmp_path):
    for name in ("a.run", "b.run"):
        save_run(trunk(), tmp_path / name)
        np.random.random()  # as in another process, whose generators stand elsewhere
    assert len({hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("a.run", "b.run")}) == 1
    assert sorted(os.listdir(tmp_path)) == ["a.run", "b.run"]


def test_random_generators_are_kept_when_asked_for(tmp_path):
    save_run(trunk(), tmp_path / "trunk.run", with_random=True)
    drawn = np.random.random(), torch.rand(1).item()
    load_run(tmp_path / "trunk.run")
    assert (np.random.random(), torch.rand(1).item()) == drawn


def test_every_damaged_piece_of_the_file_is_noticed(tmp_path):
    path = save_run(trunk(), tmp_path / "trunk.run")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    # Places that hold padding or names of the container may be changed without harm; then the run must be the same.
    expected, refused = weights(load_run(path)), 0
    for place in rng.integers(0, len(whole), 25):
        data = bytearray(whole)
        data[place] ^= 1
        path.write_bytes(bytes(data))
        try:
            found = weights(load_run(path))
        except CorruptArtifact:
            refused += 1
        else:
            assert torch.equal(found, expected)
    assert refused >= 20
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptArtifact, match=r"trunk\.run cannot be read as a run"):
        load_run(path)


def test_another_file_another_shape_or_none_is_refused(tmp_path):
    path = save_run(trunk(), tmp_path / "trunk.run")
    with pytest.raises(ConfigError, match="layers is 2 there and 3 here"):
        load_run(path, shape=Shape(280, 32, 3, 2, 2, 64, 16, tied=True))
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(CorruptArtifact, match=r"other\.pt is not what save_run\(\) wrote"):
        load_run(tmp_path / "other.pt")
    with pytest.raises(InputError, match="There is no run"):
        load_run(tmp_path / "missing.run")
