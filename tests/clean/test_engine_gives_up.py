"""An engine that gives up, as when a node is gone, is asked again for what is missing, at most twice."""

import pytest
from cleaning import any_inputs, assert_same_rows, by_wrappers, cleaned, rows_of, whole_frame

from opencoder_lib.clean import command as verb
from opencoder_lib.clean.engine import Engine, EngineFailed


class Faltering(Engine):
    """Gives up after the first task of its next calls, `left` times in all; notes what it was asked for."""

    left = 0
    asked: list[list[str]]

    def each(self, tasks, work, processes=False):
        type(self).asked.append(list(tasks))
        if not type(self).left:
            yield from super().each(tasks, work, processes)
            return
        type(self).left -= 1
        yield from super().each(tasks[:1], work, processes)
        raise EngineFailed("A node is gone.")


@pytest.fixture
def faltering(monkeypatch):
    Faltering.asked = []
    monkeypatch.setattr(verb, "Engine", Faltering)
    monkeypatch.setattr(verb, "unit_bytes", lambda total: 3000)
    return Faltering


def test_what_is_missing_is_done_by_the_next_attempt_and_the_rows_are_the_same(tmp_path, faltering, capsys):
    inputs = any_inputs(tmp_path)
    faltering.left = 2
    cleaned(tmp_path / "out", *inputs)
    assert faltering.left == 0
    assert_same_rows(rows_of(tmp_path / "out"), by_wrappers(whole_frame(*inputs)))
    first, second, third = faltering.asked[:3]
    # One task was done before each end; nothing that is done is asked for again.
    assert (second, third) == (first[1:], first[2:])
    assert third
    assert "Going on with what is missing (2 of 2 times)" in capsys.readouterr().err


def test_an_engine_that_gives_up_three_times_is_believed_and_the_same_command_goes_on(tmp_path, faltering):
    inputs = any_inputs(tmp_path)
    faltering.left = 3
    with pytest.raises(EngineFailed, match="A node is gone"):
        cleaned(tmp_path / "out", *inputs)
    assert not (tmp_path / "out" / "report.json").exists()
    cleaned(tmp_path / "out", *inputs)
    assert_same_rows(rows_of(tmp_path / "out"), by_wrappers(whole_frame(*inputs)))
