import json
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from opencoder_lib.durable import CannotWrite
from opencoder_lib.train.job.log import NEEDS_TENSORBOARD, RunLog, read_log


def row(step):
    return {"step": step, "tokens": 10 * step, "loss": 1 / step}


def test_a_resumed_log_has_every_step_once(tmp_path):
    path = tmp_path / "log.jsonl"
    log = RunLog(path)
    log.evaluation({"step": 0, "tokens": 0, "held_out_bits_per_byte": 3.5})
    for step in range(1, 7):
        log.step(row(step))
    log.event("saved", step=4, checkpoint="step-00000004")
    log.close()
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"event": "step", "st')  # a machine that lost power
    evaluations = [{"step": 0, "tokens": 0, "held_out_bits_per_byte": 3.5}]
    log = RunLog(path, [row(step) for step in range(1, 5)], evaluations)
    log.event("resumed", step=4)
    for step in (5, 6):
        log.step(row(step))
    log.close()
    assert [found["step"] for found in read_log(path)] == [1, 2, 3, 4, 5, 6]
    assert read_log(path, "evaluation") == [{"event": "evaluation", **evaluations[0]}]
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()].count("resumed") == 1


def test_what_the_log_lost_is_written_again_from_the_run(tmp_path):
    evaluations = [{"step": step, "tokens": 0, "held_out_bits_per_byte": 3.0} for step in (0, 2)]
    RunLog(tmp_path / "log.jsonl", [row(1), row(2), row(3)], evaluations).close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["event"], line["step"]) for line in lines] == [
        ("evaluation", 0),
        ("step", 1),
        ("step", 2),
        ("evaluation", 2),
        ("step", 3),
    ]
    assert lines[1] == {"event": "step", "step": 1, "tokens": 10, "loss": 1.0}


def test_a_run_that_died_before_its_first_checkpoint_begins_its_log_anew(tmp_path):
    path, measured = tmp_path / "log.jsonl", {"step": 0, "tokens": 0, "held_out_bits_per_byte": 3.5}
    for _ in range(2):
        log = RunLog(path)
        log.evaluation(measured)
        log.step(row(1))
        log.close()
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["evaluation", "step"]


def test_numbers_come_back_bit_for_bit(tmp_path):
    log = RunLog(tmp_path / "log.jsonl")
    log.step({"step": 1, "loss": 0.1 + 0.2})
    log.close()
    assert read_log(tmp_path / "log.jsonl")[0]["loss"] == 0.30000000000000004


def test_tensorboard_shows_the_curves_and_hides_what_was_done_twice(tmp_path):
    log = RunLog(tmp_path / "log.jsonl", curves=tmp_path / "curves")
    for step in (1, 2, 3):
        log.step(row(step))
    log.close()
    log = RunLog(tmp_path / "log.jsonl", [row(1), row(2)], curves=tmp_path / "curves")
    log.step({"step": 3, "tokens": 30, "loss": 0.25})
    log.evaluation({"step": 3, "tokens": 30, "held_out_bits_per_byte": 2.5})
    log.close()
    found = EventAccumulator(str(tmp_path / "curves")).Reload()
    assert [(event.step, event.value) for event in found.Scalars("train/loss")] == [(1, 1.0), (2, 0.5), (3, 0.25)]
    assert [event.value for event in found.Scalars("held-out/held_out_bits_per_byte")] == [2.5]


def test_without_the_package_there_is_a_message_and_a_log(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    told = []
    log = RunLog(tmp_path / "log.jsonl", curves=tmp_path / "curves", say=told.append)
    log.step(row(1))
    log.close()
    assert told == [NEEDS_TENSORBOARD]
    assert len(read_log(tmp_path / "log.jsonl")) == 1
    assert not (tmp_path / "curves").exists()


def test_a_place_that_cannot_be_written_to_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match=r"log\.jsonl could not be written: (File exists|Not a directory)"):
        RunLog(tmp_path / "file" / "log.jsonl")
