"""The accelerator benchmark, rehearsed where there is none: its order, its processes, what it makes of its results."""

import importlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
ON_CPU = {"device": "cpu", "tiny": True, "warmup": 1, "steps": 2, "micro_batch": 2, "accumulate": 2}


@pytest.fixture(scope="module", autouse=True)
def found_benchmarks():
    """The benchmarks import each other by name, as they do when started as programs."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def gpu():
    return importlib.import_module("gpu")


@pytest.fixture(scope="module")
def gpu_parts():
    return importlib.import_module("gpu_parts")


def training(shape, side, tokens_per_second, mfu, **settings):
    about = {"kind": "training", "shape": shape, "side": side, "micro_batch": 4, "accumulate": 4, **settings}
    rate = {"median": tokens_per_second, "min": tokens_per_second - 1.0, "max": tokens_per_second + 1.0}
    shares = {"full": mfu, "causal": mfu}
    side = {"ours": "our loop", "trainer": "Trainer"}[side]
    return {"name": "x", "settings": about, "tokens_per_second": rate, "mfu": shares, "side": side}


def test_a_step_is_65536_tokens_whatever_the_micro_batch(gpu):
    contexts = {"opencoder-1.5b": 4_096, "base": 2_048}
    sizes = {
        settings["micro_batch"] * settings["accumulate"] * contexts[settings["shape"]]
        for part in gpu.parts("")
        if isinstance(part.settings, dict) and part.settings["kind"] == "training"
        for settings in (part.settings, *(part.settings | smaller for smaller in part.or_else))
    }
    assert sizes == {65_536}


def test_parts_with_a_bar_come_before_those_that_only_inform(gpu):
    names = [part.name for part in gpu.parts("")]
    with_bar = ["machine", "1.5B ours", "1.5B Trainer", "base ours", "base Trainer", "resume, first", "resume, rest"]
    assert names[: len(with_bar)] == with_bar


def test_the_best_setting_of_our_loop_is_judged_against_trainer_as_it_comes(gpu):
    entries = [
        training("opencoder-1.5b", "ours", 30_000.0, 0.38),
        training("opencoder-1.5b", "ours", 36_000.0, 0.46, chunk=4_096),
        training("opencoder-1.5b", "trainer", 20_000.0, 0.25),
        training("opencoder-1.5b", "trainer", 35_000.0, 0.45, compiled=True),
        training("base", "ours", 150_000.0, 0.30),
    ]
    said = {bar["what"]: (bar["value"], bar["said"]) for bar in gpu.bars(entries)}
    assert said["MFU of opencoder-1.5b, full attention"] == (0.46, "met")
    assert said["MFU of base, full attention"] == (0.30, "missed")
    assert said["opencoder-1.5b: our loop against Trainer"] == (1.8, "met")
    assert said["resume, exact kernels: same weights"] == (None, "not measured")


def test_mfu_between_the_bar_and_the_goal_is_said_to_be_there(gpu):
    (bar, *_) = gpu.bars([training("opencoder-1.5b", "ours", 30_000.0, 0.40)])
    assert bar["said"] == "met, not the goal"


@pytest.mark.parametrize(
    ("failed", "tried"), [({"failed": "out of memory"}, [4, 2, 1]), ({"failed": "ValueError"}, [4]), ({}, [4])]
)
def test_a_smaller_micro_batch_is_tried_when_memory_runs_out_and_only_then(gpu, monkeypatch, failed, tried):
    part = gpu.Part("x", {"micro_batch": 4}, or_else=({"micro_batch": 2}, {"micro_batch": 1}))
    monkeypatch.setattr(gpu, "run_part", lambda part, seconds, log: failed)
    assert [settings["micro_batch"] for settings, _ in gpu.attempts(part, 100.0, None)] == tried


def test_no_part_is_started_without_the_time_it_needs(gpu, monkeypatch):
    monkeypatch.setattr(gpu, "run_part", lambda part, seconds, log: {"seconds": seconds})
    parts = [gpu.Part("short", {"kind": "machine"}, 9, 5), gpu.Part("long", {"kind": "machine"}, 90, 50)]
    entries = list(gpu.measured(parts, 20, None))
    assert [entry.get("skipped") for entry in entries] == [None, "no time left"]
    assert entries[0]["seconds"] == 9, "a part gets no more than its limit"


def test_the_chapter_says_which_packages_it_lacks(gpu, monkeypatch):
    monkeypatch.setattr(gpu, "find_spec", lambda name: None if name in ("polars", "daft") else object())
    (entry,) = gpu.measured([gpu.Part("chapter 10", gpu.CHAPTER)], 100, None)
    assert entry["skipped"].startswith("needs polars, daft;")


def test_a_part_that_takes_too_long_is_ended_with_all_it_started(gpu, tmp_path):
    late = tmp_path / "late"
    program = f"import subprocess, time; subprocess.Popen(['sh', '-c', 'sleep 2; touch {late}']); time.sleep(60)"
    with open(tmp_path / "log", "w") as log:
        found = gpu.run_part(gpu.Part("x", [sys.executable, "-c", program]), 1.0, log)
    assert found["failed"] == "out of time"
    subprocess.run(["sleep", "2"], check=True)
    assert not late.exists()


def test_a_part_whose_process_dies_is_reported_and_not_waited_for(gpu, tmp_path):
    with open(tmp_path / "log", "w") as log:
        found = gpu.run_part(gpu.Part("x", [sys.executable, "-c", "import os; os._exit(3)"]), 60, log)
    assert (found["failed"], found["why"]) == ("ended", "exit code 3; see the log")


def test_running_out_of_memory_is_a_result(gpu_parts, monkeypatch):
    def greedy(settings):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nmore")

    monkeypatch.setitem(gpu_parts.KINDS, "training", greedy)
    found = gpu_parts.outcome({"kind": "training"})
    assert found == {"failed": "out of memory", "why": "CUDA out of memory. Tried to allocate 9 GiB."}


def test_a_kernel_that_is_not_there_is_a_result(gpu_parts):
    settings = ON_CPU | {"kind": "training", "shape": "base", "side": "ours", "attention": "cudnn"}
    assert gpu_parts.outcome(settings)["failed"] == "no such kernel"
    assert "failed" not in gpu_parts.outcome(settings | {"attention": "flash"})


@pytest.mark.parametrize(
    "settings",
    [{"side": "ours"}, {"side": "ours", "recompute": True, "chunk": 32}, {"side": "ours", "optimizer": "muon"}],
    ids=["plain", "recompute and chunks", "Muon"],
)
def test_our_loop_is_timed_step_by_step_and_starts_from_guessing(gpu_parts, settings):
    found = gpu_parts.outcome(ON_CPU | {"kind": "training", "shape": "base"} | settings)
    assert len(found["seconds_per_step"]) == 2
    assert found["losses"][0] == pytest.approx(np.log(512), rel=0.02)
    assert found["tokens_per_step"] == 2 * 2 * 64
    assert found["mfu"] == {"full": None, "causal": None}, "a processor has no stated peak"


def test_without_accelerate_a_loop_like_trainer_stands_in_and_is_called_so(gpu_parts, monkeypatch):
    monkeypatch.setattr(gpu_parts, "has_accelerate", lambda: False)
    settings = ON_CPU | {"kind": "training", "shape": "base", "side": "trainer"}
    theirs = gpu_parts.outcome(settings)
    assert theirs["side"] == "plain loop, as Trainer (no accelerate)"
    ours = gpu_parts.outcome(settings | {"side": "ours"})
    # Trainer's loss leaves out the last target of each window; otherwise it is the same loss on the same windows.
    assert theirs["losses"] == pytest.approx(ours["losses"], rel=0.01)


def test_flops_are_those_of_both_conventions(gpu_parts):
    found = gpu_parts.outcome(ON_CPU | {"kind": "training", "shape": "base", "side": "ours"})
    # By hand, for width 64, 2 layers, feed-forward 128, vocabulary 512, context 64.
    matrices = 2 * (4 * 64**2 + 3 * 64 * 128) + 64 * 512
    attention = 12 * 2 * 64 * 64
    assert found["flops_per_token"] == {"full": 6 * matrices + attention, "causal": 6 * matrices + attention / 2}


def test_a_profile_names_operations_and_shares(gpu_parts):
    found = gpu_parts.outcome(ON_CPU | {"kind": "profile", "shape": "base"})
    shares = [kernel["share"] for kernel in found["kernels"]]
    assert shares == sorted(shares, reverse=True)
    assert "aten::mm" in [kernel["name"] for kernel in found["kernels"]]


def test_a_resumed_run_ends_with_the_weights_of_the_uninterrupted_one(gpu_parts, tmp_path):
    settings = ON_CPU | {"kind": "resume", "shape": "small", "steps": 6, "folder": str(tmp_path), "compiled": False}
    first = gpu_parts.outcome(settings | {"phase": "first"})
    rest = gpu_parts.outcome(settings | {"phase": "rest"})
    assert rest["exact"]["resumed_at"] == 3
    assert rest["exact"]["weights"] == first["exact"]["weights"]
    assert rest["exact"]["same_weights"]
    assert rest["fast"]["largest_loss_difference"] == 0


def test_runs_that_part_ways_are_not_called_the_same(gpu_parts):
    one, other = {"losses": [3.0, 2.0], "weights": "a"}, {"losses": [3.0, 2.25], "weights": "b"}
    expected = {"same_weights": False, "same_losses": False, "largest_loss_difference": 0.25}
    assert gpu_parts.compare_runs(one, other) == expected


def test_the_recipe_of_chapter_10_learns_pythons_library(gpu_parts):
    settings = {"kind": "recipe", "compiled": False, "steps": 12, "batch_size": 2, "megabytes": 0.6}
    found = gpu_parts.outcome(ON_CPU | settings)
    bits = [row["held_out_bits_per_byte"] for row in found["evaluations"]]
    assert [row["step"] for row in found["evaluations"]] == [0, 3, 6, 9, 12]
    assert bits[-1] < bits[0]


def test_the_whole_command_leaves_one_json_file_and_says_what_it_did(tmp_path):
    command = ["sh", str(ROOT / "benchmarks/gpu.sh"), "--device", "cpu", "--tiny", "--out", str(tmp_path)]
    done = subprocess.run(
        [*command, "--only", "machine", "1.5B eager"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "training-gpu.json").read_text())
    assert [part["name"] for part in report["parts"]] == ["machine", "1.5B eager"]
    assert report["parts"][0]["versions"]["torch"] == torch.__version__
    assert report["bars"] == [], "a rehearsal is not judged"
    assert "our loop" in done.stdout


def test_a_part_that_does_not_exist_is_refused_by_name(gpu, capsys):
    with pytest.raises(SystemExit):
        gpu.arguments(["--only", "1.5B our"])
    assert "there is no part 1.5B our; parts are: machine, 1.5B ours" in capsys.readouterr().err


def test_a_line_says_what_was_tried_and_what_came_of_it(gpu):
    tried = {"name": "1.5B micro 8", "settings": gpu.sized(gpu.LARGE, "ours", 8, compiled=True)}
    failed = gpu.line(tried | {"failed": "out of memory", "why": "Tried to allocate 9 GiB", "seconds": 20.0})
    assert " ".join(failed.split()) == "1.5B micro 8 8 x 2, compiled out of memory: Tried to allocate 9 GiB"
    good = gpu.line(training("opencoder-1.5b", "ours", 36_000.0, 0.46, chunk=4_096) | {"peak_bytes": 66.4e9})
    assert " ".join(good.split()) == "x 4 x 4, eager, chunk 4096 36,000 35,999-36,001 46.0% 46.0% 66.4 our loop, met"


def test_the_rehearsal_leaves_out_nothing_but_the_chapter(gpu):
    parts = gpu.parts("")
    rehearsed = [gpu.rehearsed(part) for part in parts if part.settings is not gpu.CHAPTER]
    assert len(rehearsed) == len(parts) - 1
    assert all(part.settings["tiny"] for part in rehearsed)


def test_the_log_of_a_part_begins_with_its_settings(gpu, monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(gpu.subprocess, "Popen", lambda *_, **__: FinishedProcess())
    gpu.run_part(gpu.Part("machine", {"kind": "machine"}), 1, log)
    assert log.getvalue() == '\n=== machine: {"kind": "machine"}\n'


class FinishedProcess:
    """A process that has ended at once and left nothing."""

    pid = 2**22 + 1  # above the largest number that a process can have

    def wait(self, seconds=None):
        return 1
