"""`opencoder clean` on a real cluster of three nodes, one of which dies in the middle: the same rows as on a laptop."""

import json
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from ray_nodes import RayNodes

from opencoder_lib.corpora.generated import python_module
from opencoder_lib.files import content_hash
from opencoder_lib.seeds import rng

pytestmark = pytest.mark.slow

# The command as the user gives it, but with small units: enough tasks for every node to have some.
RUN = """
import sys
from opencoder_lib.clean import command
from opencoder_lib import cli
command.unit_bytes = lambda total: 800_000
sys.argv[0] = "opencoder"
cli.main()
"""


def run_clean(*arguments, environment=None, **how):
    command = [sys.executable, "-c", RUN, "clean", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **how)


def finish(process, seconds=240):
    out, err = process.communicate(timeout=seconds)
    assert process.returncode == 0, out + err
    return out


def rows_of(folder: Path) -> str:
    parts = [pl.read_parquet(sorted((folder / name).glob("*.parquet")), glob=False) for name in ("kept", "removed")]
    return content_hash(pl.concat(parts))


@pytest.fixture
def corpus(tmp_path):
    """4,000 files, each three of 200 modules; every tenth a copy and every tenth a near-copy of the one before."""
    draws, texts = rng(0, "cluster corpus"), []
    modules = [python_module(draws, num_functions=4) for _ in range(200)]
    for number in range(4000):
        if number % 10 == 3:
            texts.append(texts[-1])
        elif number % 10 == 7:
            texts.append(texts[-1] + f"value_{number} = 1\n")
        else:
            texts.append("".join(modules[at] for at in draws.choice(200, size=3, replace=False)))
    frame = pl.DataFrame({"text": texts, "repo": [f"r{at % 40}" for at in range(4000)]})
    frame = frame.with_columns(path=pl.format("{}.py", pl.int_range(4000)), stars=pl.int_range(4000) % 11)
    frame.write_parquet(tmp_path / "corpus.parquet", row_group_size=100)
    return tmp_path / "corpus.parquet"


def marks(folder: Path, step: str) -> int:
    return len(list(folder.glob(f".work/*/{step}/*.done")))


def test_a_cluster_that_loses_a_node_gives_the_rows_of_a_laptop(corpus, tmp_path):
    laptop, cluster = tmp_path / "laptop", tmp_path / "cluster"
    finish(run_clean(corpus, "--out", laptop))
    with RayNodes(3) as nodes:
        process = run_clean(
            *(corpus, "--out", cluster, "--engine", "ray", "--ray-address", nodes.address),
            environment=nodes.environment,
        )
        deadline = time.monotonic() + 180
        # In the last pass, where files are filtered: some shards are done, most are not.
        while marks(cluster, "write") < 1:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the last pass was not reached"
            time.sleep(0.05)
        before = marks(cluster, "write")
        nodes.kill(2)
        assert process.poll() is None, "the run was over before the node died"
        finish(process)
    report = json.loads((cluster / "report.json").read_text())
    shards = len(list((cluster / "removed").glob("*.parquet")))
    assert before < shards, "the node died after the work was done"
    assert report["engine"] == "ray"
    assert rows_of(cluster) == rows_of(laptop)
    assert report["removed_by"] == json.loads((laptop / "report.json").read_text())["removed_by"]
    assert report["removed_by"]["exact.duplicate"]["files"] >= 400
    assert report["removed_by"]["fuzzy.near_duplicate"]["files"] >= 400


def test_without_a_cluster_the_error_says_how_to_start_one(corpus, tmp_path):
    process = run_clean(corpus, "--out", tmp_path / "none", "--engine", "ray", "--ray-address", "127.0.0.1:1")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "There is no Ray cluster at 127.0.0.1:1" in err
    assert "ray start --head" in err
