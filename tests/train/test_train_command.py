import gzip
import json
import os
import re
import shutil
import signal
import socket
import sys
from itertools import count

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from opencoder_lib.errors import ConfigError, CookbookError, InputError
from opencoder_lib.train.checkpoint import read_manifest
from opencoder_lib.train.identity import OtherRun
from opencoder_lib.train.job import command, outlook, telling
from opencoder_lib.train.job.command import train
from opencoder_lib.train.job.log import read_log
from opencoder_lib.train.job.telling import progress_line
from opencoder_lib.train.loop import TrainingDiverged
from opencoder_lib.train.packing import open_tokens, unpack
from opencoder_lib.train.tokenizer import load_tokenizer

CONFIG = """
[model]
vocab = 270
hidden = 16
layers = 1
heads = 2
kv_heads = 2
ffn = 24
context = 16
tied = true
[tokenizer]
vocab_size = 270
[data.sources.code]
paths = ["code.jsonl"]
weight = 3
[data.sources.exercises]
paths = ["exercises.parquet"]
weight = 1
[data.held_out]
frac = 0.3
max_bytes = 2000
[plan]
steps = 12
warmup_steps = 2
decay_steps = 4
peak = 0.02
final = 0.001
[feed]
batch_size = 2
[compute]
threads = 1
[out]
folder = "out"
save_every = 3
evaluate_every = 6
tensorboard = false
"""


def texts(kind, number):
    return [f"def {kind}_{i}(x):\n    return x * {i} + {i % 7}\n" * 4 for i in range(number)]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder with a corpus of ten repositories and a configuration; one thread, on a processor, alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    rows = [{"text": text, "repo": f"r{i % 10}"} for i, text in enumerate(texts("code", 40))]
    (tmp_path / "code.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pl.DataFrame({"text": texts("task", 20), "repo": [f"r{i % 10}" for i in range(20)]}).write_parquet(
        tmp_path / "exercises.parquet"
    )
    (tmp_path / "run.toml").write_text(CONFIG)
    yield tmp_path
    torch.set_num_threads(before[0])
    torch.use_deterministic_algorithms(before[1])


def run(*changes, **options):
    train("run.toml", changes=["compute.device=cpu", *changes], **options)


def weights(folder="out"):
    return {name: value.numpy().tobytes() for name, value in load_file(f"{folder}/model/model.safetensors").items()}


def test_a_configuration_becomes_a_model_that_transformers_loads(place, capsys):
    run()
    said = capsys.readouterr().out.splitlines()
    # 270 x 16 of vocabulary; 4 x 16 x 16 of attention, 3 x 16 x 24 of feed-forward and 3 x 16 of norms.
    assert said[0] == "model:   own sizes, 6,544 parameters (2,224 without the vocabulary of 270)"
    assert re.fullmatch(
        r"Done: step 12, 384 tokens, loss \d\.\d{3}, held-out \d\.\d{3} bits/byte in \d+ s\. Model: out/model", said[-1]
    )
    model, tokenizer = (kind.from_pretrained("out/model") for kind in (AutoModelForCausalLM, AutoTokenizer))
    assert model.config.vocab_size == len(tokenizer) == 270
    assert sorted(os.listdir("out/checkpoints")) == ["step-00000009", "step-00000012"]
    assert [row["step"] for row in read_log(place / "out/log.jsonl")] == list(range(1, 13))
    assert [row["step"] for row in read_log(place / "out/log.jsonl", "evaluation")] == [0, 6, 12]
    assert [row["step"] for row in read_log(place / "out/log.jsonl", "saved")] == [3, 6, 9, 12]


def trained_and_measured(place):
    """The texts that a run's tokens hold, and those it is measured on."""
    tokenizer = load_tokenizer(next(place.glob("out/tokens/tokenizer-*.json")))
    trained = {
        t for path in place.glob("out/tokens/*.safetensors") for t in unpack(open_tokens(path).tokens, tokenizer)
    }
    measured = {
        json.loads(line)["text"]
        for path in place.glob("out/tokens/*.held-out.jsonl")
        for line in path.read_text().splitlines()
    }
    return trained, measured


def test_a_corpus_of_no_repositories_is_measured_on_single_texts_and_says_so(place, capsys):
    (place / "code.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts("code", 40)))
    run("data.sources={code = {paths = ['code.jsonl'], weight = 1}}")
    assert "note: the corpus names no repositories, so 0.3 of its single texts are held out" in capsys.readouterr().out
    trained, measured = trained_and_measured(place)
    assert measured
    assert trained.isdisjoint(measured)


def test_a_source_is_tokenised_again_when_another_one_brings_repositories_to_draw_from(place):
    rows = [{"text": text, "repo": "r7"} for text in texts("code", 40)]
    (place / "code.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("data.sources={code = {paths = ['code.jsonl'], weight = 1}}")
    shutil.copy(next(place.glob("out/tokens/tokenizer-*.json")), place / "tokenizer.json")
    tokenizer = load_tokenizer(place / "tokenizer.json")
    run("tokenizer={path = 'tokenizer.json'}", fresh=True)
    sizes = {len(unpack(open_tokens(path).tokens, tokenizer)) for path in place.glob("out/tokens/code-*.safetensors")}
    # About 0.7 of the 40 by single texts at first; then, of ten repositories, r7 is trained on whole.
    assert len(sizes) == 2
    assert max(sizes) == 40


@pytest.mark.parametrize(("is_terminal", "said"), [(True, "\n"), (False, "")])
def test_what_breaks_off_a_line_that_is_kept_up_to_date_speaks_on_the_next(is_terminal, said, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    with pytest.raises(KeyboardInterrupt), progress_line():
        raise KeyboardInterrupt
    assert capsys.readouterr().out == said


def test_held_out_repositories_are_not_trained_on(place):
    run()
    trained, measured = trained_and_measured(place)
    everything = texts("code", 40) + texts("task", 20)
    assert trained.isdisjoint(measured)
    assert trained < set(everything)
    assert measured
    # Whole repositories: text i is of repository i % 10, in both sources.
    kept = {i % 10 for i, text in enumerate(texts("code", 40)) if text in trained}
    assert kept == {i % 10 for i, text in enumerate(texts("task", 20)) if text in trained}
    assert len(trained) == 4 * len(kept) + 2 * len(kept)


class StopAt:
    """Sends a signal to this process once `step` has been logged."""

    def __init__(self, step, number):
        self.step_of_signal, self.number = step, number

    def __call__(self, narrator, row):
        narrator.log.step(row)
        if row["step"] == self.step_of_signal:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "ending"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_run_that_is_stopped_saves_its_step_and_goes_on_to_the_same_end(capsys, monkeypatch, number, ending):
    run("out.folder=whole")
    asked = StopAt(5, number)
    with monkeypatch.context() as patched:
        patched.setattr(telling.Narrator, "step", lambda self, row: asked(self, row))
        with pytest.raises(ending):
            run()
    assert "Stopped after step 5 of 12; it is saved. The same command goes on from there." in capsys.readouterr().out
    assert "step-00000005" in os.listdir("out/checkpoints")
    run_again = [line for line in logged_run(capsys) if line.startswith("going on")]
    assert run_again == ["going on from step 5 (out/checkpoints/step-00000005)"]
    assert weights("out") == weights("whole")
    kept = [{k: v for k, v in row.items() if k != "tokens_per_second"} for row in read_log("out/log.jsonl")]
    assert kept == [{k: v for k, v in row.items() if k != "tokens_per_second"} for row in read_log("whole/log.jsonl")]


def logged_run(capsys, *changes, **options):
    capsys.readouterr()
    run(*changes, **options)
    return capsys.readouterr().out.splitlines()


def test_a_finished_run_is_not_trained_again_and_fresh_starts_anew(capsys):
    run()
    before = weights()
    again = logged_run(capsys)
    assert "going on from step 12 (out/checkpoints/step-00000012)" in again
    assert not [line for line in again if "tokenising" in line]
    assert weights() == before
    fresh = logged_run(capsys, "model.seed=1", fresh=True)
    assert not [line for line in fresh if "going on" in line or "tokenising" in line]
    assert weights() != before


def test_a_dry_run_tells_and_writes_nothing(place, capsys):
    run(dry_run=True)
    said = capsys.readouterr().out
    for name in ("model:", "data:", "plan:", "compute:", "memory:", "time:", "out:"):
        assert name in said
    assert not (place / "out").exists()


def test_a_branch_goes_on_from_a_trunk_over_data_of_its_own(capsys):
    run("plan.stop_at=6")
    branch = logged_run(
        capsys, "out.folder=branch", "data.sources.exercises.weight=3", "start.checkpoint=out/checkpoints/step-00000006"
    )
    assert "going on from step 6 (out/checkpoints/step-00000006)" in branch
    assert [row["step"] for row in read_log("branch/log.jsonl")] == list(range(1, 13))
    about = read_manifest("branch/checkpoints/step-00000012")["identity"]["data"]
    # Six steps of two windows, three of four from the code: 9 and 3.
    assert (about["start"], about["already"]) == (12, {"code": 9, "exercises": 3})
    # The trunk may go: the branch has checkpoints of its own.
    os.rename("out", "elsewhere")
    again = logged_run(
        capsys, "out.folder=branch", "data.sources.exercises.weight=3", "start.checkpoint=out/checkpoints/step-00000006"
    )
    assert "going on from step 12 (branch/checkpoints/step-00000012)" in again


def test_a_branch_with_the_trunks_own_plan_and_data_is_the_trunk(capsys):
    run("out.folder=whole")
    run("plan.stop_at=6")
    run("out.folder=branch", "start.checkpoint=out/checkpoints/step-00000006")
    losses = [[row["loss"] for row in read_log(f"{name}/log.jsonl")] for name in ("whole", "branch")]
    assert losses[0] == losses[1]
    assert weights("branch") == weights("whole")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.hidden=32"], "of another model: hidden is 16 there and 32 here"),
        (["plan.peak=0.01"], r"of another plan: peak is 0\.02 there and 0\.01 here"),
        (["feed.batch_size=4"], "of another feed: batch_size is 2 there and 4 here"),
        (["data.held_out.seed=1"], "of other data: sources.*there and.*here"),
        (["optimizer.name=adamw"], "of another optimizer: optimizer is 'muon' there and 'adamw' here"),
        (["optimizer.clip=0.5"], r"other settings: clip is 1\.0 there and 0\.5 here"),
    ],
)
def test_a_run_of_something_else_in_the_same_folder_is_refused_by_name(changes, message):
    run("plan.stop_at=3")
    before = sorted(os.listdir("out/checkpoints"))
    with pytest.raises(OtherRun, match=message):
        run(*changes)
    assert sorted(os.listdir("out/checkpoints")) == before


def test_fewer_sequences_at_a_time_and_a_longer_plan_are_the_same_run(capsys):
    run("plan.stop_at=6")
    assert "going on from step 6 (out/checkpoints/step-00000006)" in logged_run(
        capsys, "feed.micro_batch=1", "plan.steps=14", "out.keep_last=1"
    )


def test_a_loss_that_is_not_a_number_names_the_step_and_the_last_good_checkpoint(monkeypatch):
    backward = command.loop._backward
    calls = count(1)

    def spoilt(run, *args):
        loss = backward(run, *args)
        return loss * float("nan") if next(calls) == 8 else loss

    monkeypatch.setattr(command.loop, "_backward", spoilt)
    with pytest.raises(TrainingDiverged, match=r"Step 7: the loss is nan.*last good checkpoint is out/.*step-00000006"):
        run()
    assert read_log("out/log.jsonl", "diverged")[0]["step"] == 7


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        (
            ["data.sources.code.paths=['nothing']"],
            InputError,
            r"data\.sources\.code: 'nothing' holds no file .*opencoder clean",
        ),
        (["data.sources.code.paths=['run.toml']"], InputError, r"run\.toml is none of \.parquet"),
        (["data.sources.code.text_column=txt"], ConfigError, r"code\.jsonl, line 1 has no column 'txt'.*text"),
        (["data.held_out.repo_column=repos"], ConfigError, r"exercises\.parquet has no column 'repos'.*repo"),
        (["model.vocab=512"], ConfigError, r"tokenizer has 270 tokens and the model a vocabulary of 512.*vocab = 270"),
        (["model.vocab=256"], ConfigError, "tokenizer has 270 tokens and the model a vocabulary of 256"),
        (["feed.batch_size=4096"], ConfigError, r"windows of 16 tokens, fewer than the 4096 of one batch"),
        (["model.context=8192", "feed.batch_size=1"], ConfigError, r"data\.sources\.code is too small"),
        (["feed.batch_size=3", "feed.micro_batch=2"], ConfigError, "does not split into micro-batches of 2"),
        (["plan.decay_steps=11"], ConfigError, "Warm-up .* and decay .* overlap"),
        (["plan.stop_at=13"], ConfigError, r"plan\.stop_at = 13 is past the end of the plan, step 12"),
        (["model.hidden=65536", "model.layers=9", "model.ffn=2000000"], ConfigError, r"would need about [\d.]+ GB"),
        (["tokenizer={path = 'nothing.json'}"], InputError, r"There is no tokenizer nothing\.json"),
        (["start.checkpoint=out/checkpoints/x"], ConfigError, "lies in out.folder"),
        (["data.sources.code.paths=['broken.jsonl']"], InputError, r"broken\.jsonl, line 2 is damaged .* character 1"),
        (["data.sources.code.paths=['no.jsonl.zst']"], InputError, r"no\.jsonl\.zst is damaged after line 0: "),
        (["feed.context=32"], ConfigError, r"feed\.context = 32 is more than the 16 positions"),
        (["compute.device=meta"], ConfigError, r"compute\.device = 'meta' is none of auto, cpu, cuda"),
        (["start.checkpoint=nowhere"], InputError, "There is no checkpoint nowhere"),
        (["tokenizer.vocab_size=9999", "model.vocab=9999"], ConfigError, "tokens, not vocab_size=9999"),
    ],
)
def test_what_cannot_work_is_one_clear_line(place, changes, kind, message):
    (place / "broken.jsonl").write_text('{"text": "x", "repo": "r"}\n{broken\n')
    (place / "no.jsonl.zst").write_bytes(b"hello world")
    with pytest.raises(kind, match=message) as refused:
        run(*changes)
    assert isinstance(refused.value, CookbookError)
    assert "\n" not in str(refused.value)


def test_a_folder_of_other_things_and_one_that_is_in_use_are_left_alone(place):
    (place / "mine").mkdir()
    (place / "mine/thesis.tex").write_text("")
    with pytest.raises(ConfigError, match="holds other things and no run of opencoder train"):
        run("out.folder=mine", fresh=True)
    assert os.listdir("mine") == ["thesis.tex"]
    with command._alone_in(place / "out", True), pytest.raises(ConfigError, match="Another run is at work in out"):
        run()


def test_a_run_within_its_folder_of_data_goes_on_and_does_not_read_itself(capsys):
    run("data.sources.code.paths=['.']", "plan.stop_at=3")
    again = logged_run(capsys, "data.sources.code.paths=['.']")
    assert "going on from step 3 (out/checkpoints/step-00000003)" in again
    with pytest.raises(ConfigError, match=r"data\.sources\.code: out/.* lies in out\.folder"):
        run("data.sources.code.paths=['out/tokens']")


def test_a_folder_on_a_file_system_without_locks_can_be_used(monkeypatch):
    def unsupported(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(command.fcntl, "flock", unsupported)
    run("plan.stop_at=1")
    assert os.listdir("out/checkpoints") == ["step-00000001"]


def test_a_process_without_an_accelerator_of_its_own_is_told_so_before_anything_is_asked_of_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "an accelerator")
    monkeypatch.setattr(outlook, "uses_bfloat16", lambda *_: True)
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"Process 1 .* torch sees 1\. Start torchrun with --nproc-per-node 1"):
        train("run.toml", changes=["compute.device=cuda", "parallel.strategy=ddp"])


def test_each_long_step_is_looked_at_so_that_a_stop_need_not_wait_for_ten():
    paper = command.loop.Feed(1024, 4096, 0)
    assert command._read_every(paper, 256) == 1
    assert command._read_every(command.loop.Feed(4, 256, 0), 1) is None


def test_of_sources_that_fall_due_together_a_branch_knows_which_its_trunk_read():
    # Manifests sort by name; the configuration names "zeta" first.
    zeta = ["data.sources={zeta = {paths = ['code.jsonl']}, alpha = {paths = ['exercises.parquet']}}"]
    zeta.append("feed.batch_size=1")
    run(*zeta, "plan.stop_at=3")
    run(*zeta, "out.folder=branch", "start.checkpoint=out/checkpoints/step-00000003")
    about = read_manifest("branch/checkpoints/step-00000012")["identity"]["data"]
    assert about["already"] == {"zeta": 2, "alpha": 1}


def test_several_processes_need_a_strategy(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"torchrun started 2 processes, and parallel\.strategy is none"):
        run()


def test_every_kind_of_table_gives_the_same_tokens_and_token_files_are_taken_as_they_are(place):
    rows = (place / "code.jsonl").read_text()
    with gzip.open("packed.jsonl.gz", "wt") as file:
        file.write(rows)
    pl.DataFrame([json.loads(row) for row in rows.splitlines()]).write_parquet("code.parquet")
    shared = ["data.sources.exercises.paths=['exercises.parquet']", "tokenizer.sample_bytes=3000", "plan.steps=6"]
    run(*shared)
    tokenizer = next(place.glob("out/tokens/tokenizer-*.json"))
    shared = [*shared, f"tokenizer={{path = '{tokenizer}'}}"]
    for name in ("packed.jsonl.gz", "code.parquet"):
        run(*shared, f"data.sources.code.paths=['{name}']", f"out.folder={name}.out")
        assert weights(f"{name}.out") == weights()
    ready = {path.name.split("-")[0]: str(path) for path in place.glob("out/tokens/*.safetensors")}
    held_out = "data.held_out={paths = ['code.jsonl']}"
    paths = [f"data.sources.{name}.paths=['{path}']" for name, path in ready.items()]
    run(*shared, *paths, held_out, "out.folder=ready")
    assert weights("ready") == weights()
    with pytest.raises(ConfigError, match=r"holds tokens already.*data\.held_out\.paths"):
        run(*shared, *paths, "out.folder=ready2")


def test_preparation_goes_on_with_the_part_it_was_at(place, monkeypatch, capsys):
    write, calls = command.plan_preparation.__globals__["write_tokens"], count(1)

    def killed_at_the_second(*args):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return write(*args)

    monkeypatch.setitem(command.plan_preparation.__globals__, "write_tokens", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run()
    (place / "out/tokens/.exercises-00000-0.safetensors.1.partial").write_bytes(bytes(100))  # by kill -9
    said = [line for line in logged_run(capsys) if line.startswith(("tokenising", "training"))]
    assert not list(place.glob("out/tokens/.*"))
    assert said == ["tokenising exercises: part 1 of 1"]


def test_a_text_of_the_held_out_files_is_not_trained_on(place):
    copied = texts("code", 40)[:3]
    (place / "measured.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in copied))
    run("data.held_out={paths = ['measured.jsonl']}", "plan.steps=6")
    tokenizer = load_tokenizer(next(place.glob("out/tokens/tokenizer-*.json")))
    trained = unpack(open_tokens(next(place.glob("out/tokens/code-*.safetensors"))).tokens, tokenizer)
    assert trained == texts("code", 40)[3:]


def test_a_text_without_a_utf8_form_is_left_out_and_told(place, capsys):
    with open("code.jsonl", "a") as file:
        file.writelines(json.dumps({"text": "half \ud800 of a pair", "repo": f"new{i}"}) + "\n" for i in range(9))
    said = logged_run(capsys, "plan.steps=6")
    [note] = [line for line in said if line.startswith("note:")]
    assert re.fullmatch(r"note: [1-9] texts of code have no UTF-8 form and are left out", note)


def test_the_expected_time_is_that_of_the_run_so_far(capsys, monkeypatch):
    run("plan.stop_at=3")
    rows = [{"tokens_per_second": 32.0}] * 3
    monkeypatch.setattr(outlook, "read_log", lambda path: rows)
    assert "time:    about 12 s in all, at the 32 tokens/s of the run so far" in logged_run(capsys)


def test_no_network_is_asked_for(monkeypatch):
    def refused(*args, **kwargs):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refused)
    run("plan.steps=6")
