from functools import partial

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from opencoder_lib.compute import autocast
from opencoder_lib.errors import ConfigError
from opencoder_lib.train import cost
from opencoder_lib.train.cost import check_memory, estimate_memory, flops_per_token, matrix_weights, mfu, peak_flops
from opencoder_lib.train.loss import NextToken
from opencoder_lib.train.model import SHAPES, Shape, build_model
from opencoder_lib.train.optim import Recipe

SMALL, LARGE = SHAPES["opencoder-1.5b"], SHAPES["opencoder-8b"]


def test_the_papers_shapes_cost_what_the_two_conventions_say():
    # 6 * (all weights - input embedding - norms), and 12 * layers * hidden * context for attention.
    weights = 6 * (1_905_650_880 - 96_640 * 2_240 - 49 * 2_240)
    full, causal = flops_per_token(SMALL, 4_096), flops_per_token(SMALL, 4_096, "causal")
    assert full == weights + 12 * 24 * 2_240 * 4_096 == pytest.approx(1.278e10, rel=1e-3)
    assert causal == weights + 6 * 24 * 2_240 * 4_096 == pytest.approx(1.146e10, rel=1e-3)
    assert flops_per_token(LARGE, 8_192) == pytest.approx(5.71e10, rel=1e-3)
    with pytest.raises(ConfigError, match="no convention 'half'"):
        flops_per_token(SMALL, 4_096, "half")


def test_a_tied_matrix_counts_once_and_is_multiplied_with_once():
    shape = Shape(vocab=100, hidden=8, layers=1, heads=2, kv_heads=1, ffn=12, context=8, tied=True)
    layer = 8 * 8 + 2 * (8 * 4) + 8 * 8 + 3 * 8 * 12
    assert matrix_weights(shape) == layer + 100 * 8
    assert matrix_weights(Shape(**{**shape.__dict__, "tied": False})) == layer + 100 * 8


def test_mfu_is_the_share_of_the_peak_of_all_devices():
    # D: 31.0 thousand tokens a second of the 1.5B shape are 40 % of 989 TFLOP/s.
    assert mfu(31_000, flops_per_token(SMALL, 4_096), 989e12) == pytest.approx(0.40, abs=0.002)
    assert mfu(31_000, 1e10, 989e12, num_devices=8) == pytest.approx(31_000 * 1e10 / 989e12 / 8)
    assert mfu(31_000, 1e10, None) is None


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("Something else", None),
    ],
)
def test_a_device_is_known_by_its_name(monkeypatch, name, peak):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    assert peak_flops(torch.device("cuda")) == peak
    assert peak_flops(torch.device("cpu")) is None


def test_states_of_the_papers_smaller_model_take_sixteen_bytes_a_weight_with_adamw():
    needed = estimate_memory(SMALL, 4, 4_096, Recipe("adamw"), device="cuda", precision="bfloat16", compiled=True)
    assert needed["weights"] == needed["gradients"] == needed["optimizer"] // 2 == 4 * 1_905_650_880
    assert needed["weights"] + needed["gradients"] + needed["optimizer"] == pytest.approx(30.5e9, rel=1e-3)


def test_muon_keeps_one_number_for_a_matrix_inside_and_two_for_the_rest():
    needed = estimate_memory(SMALL, 1, 4_096, Recipe("muon"), precision="float32")
    inside, norms = 1_472_703_680, 49 * 2_240
    assert needed["optimizer"] == 4 * (inside - norms) + 8 * (1_905_650_880 - inside + norms)


def test_sharding_divides_the_states_and_recomputing_saves_activations():
    options = {"device": "cuda", "precision": "bfloat16", "world_size": 8}
    whole = estimate_memory(LARGE, 1, 8_192, Recipe("adamw"), **options)
    shared = estimate_memory(LARGE, 1, 8_192, Recipe("adamw"), strategy="fsdp", **options)
    again = estimate_memory(LARGE, 1, 8_192, Recipe("adamw"), strategy="fsdp", recompute=True, **options)
    for kind in ("weights", "gradients", "optimizer"):
        assert shared[kind] == whole[kind] // 8
    assert again["activations"] < shared["activations"] / 5
    assert sum(again.values()) < 80e9 < sum(whole.values()), "8B on eight devices of 80 GB works only so"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kv_heads", [1, 4])
def test_a_layer_keeps_as_many_bytes_as_the_estimate_says(precision, kv_heads):
    def kept(layers, recompute):
        shape = Shape(vocab=64, hidden=64, layers=layers, heads=4, kv_heads=kv_heads, ffn=160, context=64)
        module = NextToken(build_model(shape, 0)).train()
        for layer in module.model.model.layers:
            layer.gradient_checkpointing = recompute
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
        weights = {p.untyped_storage().data_ptr() for p in module.parameters()}
        found, alive = {}, []

        def note(tensor):
            place = tensor.untyped_storage()
            # The bfloat16 copies of weights, which no token adds to, are counted apart.
            is_copy = tensor.dtype == torch.bfloat16 and tensor.shape[0] != 2 * 64 and tensor.ndim == 2
            if place.data_ptr() not in weights and not is_copy:
                found[place.data_ptr()] = place.nbytes()
                alive.append(tensor)
            return tensor

        ids_BT = torch.arange(2 * 65).reshape(2, 65) % 64
        noting = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
        with noting, autocast(torch.device("cpu"), precision):
            module(ids_BT[:, :-1], ids_BT[:, 1:])
        return shape, sum(found.values())

    shape, three = kept(3, recompute=False)
    per_token = (three - kept(2, recompute=False)[1]) / (2 * 64)
    # Two square roots of each norm are left out of the estimate: 8 bytes a token.
    assert per_token == cost._kept_per_token(shape, precision == "bfloat16", compiled=False) + 8
    assert kept(3, recompute=True)[1] - kept(2, recompute=True)[1] == 2 * 64 * 4 * 64


def test_what_does_not_fit_is_refused_with_both_numbers_and_the_largest_part_first():
    needed = {"weights": 4 * 10**9, "activations": 9 * 10**9}
    check_memory(needed, "cpu", available=13 * 10**9)
    both = r"13\.0 GB on cpu, and 12\.9 GB are .* \(in GB: activations 9\.0, weights 4\.0\)"
    with pytest.raises(ConfigError, match=both):
        check_memory(needed, "cpu", available=129 * 10**8)


def test_the_processes_of_one_machine_share_its_memory(monkeypatch):
    monkeypatch.setattr(cost, "available_bytes", lambda device: 10 * 10**9)
    check_memory({"weights": 6 * 10**9}, "cpu")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"6\.0 GB on cpu, and 5\.0 GB"):
        check_memory({"weights": 6 * 10**9}, "cpu")
    monkeypatch.setattr(cost, "available_bytes", lambda device: None)
    check_memory({"weights": 6 * 10**18}, "cpu")


def test_a_sharded_model_must_fit_whole_while_it_is_built():
    needed = estimate_memory(LARGE, 1, 1_024, device="cuda", precision="bfloat16", strategy="fsdp", world_size=512)
    assert sum(needed.values()) >= 4 * 7_771_262_976
