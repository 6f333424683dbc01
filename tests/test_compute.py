import pytest
import threadpoolctl
import torch

from opencoder_lib import compute
from opencoder_lib.compute import (
    autocast,
    available_bytes,
    has_bfloat16,
    pick_device,
    repeat_exactly,
    uses_bfloat16,
)
from opencoder_lib.errors import ConfigError

CPU = torch.device("cpu")


def test_the_device_is_the_one_named_and_auto_is_one_that_exists():
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in ("cpu", "cuda")


def test_an_unknown_device_is_refused():
    with pytest.raises(ConfigError, match="no device 'gpu'"):
        pick_device("gpu")


def test_an_absent_accelerator_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="sees no accelerator"):
        pick_device("cuda")


def test_precision_is_what_was_asked_for():
    product = {}
    for precision in ("float32", "bfloat16", "auto"):
        with autocast(CPU, precision):
            product[precision] = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    assert product["float32"] == torch.float32
    assert product["bfloat16"] == torch.bfloat16
    assert product["auto"] == (torch.bfloat16 if has_bfloat16(CPU) else torch.float32)
    with pytest.raises(ConfigError, match="'fp16' is none of auto, float32, bfloat16"):
        autocast(CPU, "fp16")


def test_a_torch_that_cannot_name_the_processors_abilities_gets_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert has_bfloat16(CPU) is False


def test_exact_repetition_fixes_the_threads_and_the_algorithms():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        with threadpoolctl.threadpool_limits():  # puts the pools back on leaving
            repeat_exactly(1, CPU)
            assert {pool["num_threads"] for pool in threadpoolctl.threadpool_info()} == {1}
            assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (1, True)
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
    with pytest.raises(ConfigError, match="num_threads=0"):
        repeat_exactly(0, CPU)


def test_a_forced_precision_does_not_ask_the_hardware(monkeypatch):
    monkeypatch.setattr(compute, "has_bfloat16", lambda device: False)
    assert [uses_bfloat16(CPU, name) for name in ("auto", "float32", "bfloat16")] == [False, False, True]


def test_available_memory_is_the_lesser_of_the_machines_and_the_containers(monkeypatch):
    for machine, container, least in [(8, 5, 5), (3, 5, 3), (8, None, 8), (None, None, None)]:
        monkeypatch.setattr(compute, "_meminfo_available", lambda found=machine: found)
        monkeypatch.setattr(compute, "_container_left", lambda found=container: found)
        assert available_bytes(CPU) == least


@pytest.mark.parametrize(("limit", "left"), [("1000\n", 600), ("max\n", None), ("300\n", 0)])
def test_a_container_leaves_what_its_limit_has_over_its_use(tmp_path, limit, left):
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("400\n")
    assert compute._container_left(tmp_path) == left
    assert compute._container_left(tmp_path / "absent") is None
