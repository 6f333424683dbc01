import pytest
import torch
from torch.nn.functional import cross_entropy, linear

from opencoder_lib.errors import ConfigError
from opencoder_lib.train.loss import IGNORED, NextToken, piece_tokens, summed_cross_entropy
from opencoder_lib.train.model import Shape, build_model


def problem(num_tokens=37, width=16, vocab=50):
    random = torch.Generator().manual_seed(0)
    hidden_ND = torch.randn(num_tokens, width, generator=random).requires_grad_()
    weight_VD = torch.randn(vocab, width, generator=random).requires_grad_()
    targets_N = torch.randint(vocab, (num_tokens,), generator=random)
    return hidden_ND, weight_VD, targets_N


def value_and_gradients(loss, *inputs):
    return loss.detach(), *torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("chunk_tokens", [None, 1, 10, 37, 1_000])
@pytest.mark.parametrize("ignored", [[], [0, 5, 36], list(range(10, 20))], ids=["none", "some", "a whole piece"])
def test_pieces_give_the_value_and_gradients_of_the_whole_table(chunk_tokens, ignored):
    hidden, weight, targets = problem()
    targets[ignored] = IGNORED
    plain = cross_entropy(linear(hidden, weight), targets, ignore_index=IGNORED, reduction="sum")
    found = summed_cross_entropy(hidden, weight, targets, chunk_tokens)
    for ours, theirs in zip(
        value_and_gradients(3 * found, hidden, weight), value_and_gradients(3 * plain, hidden, weight), strict=True
    ):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_without_any_target_nothing_is_lost_and_nothing_learnt():
    hidden, weight, targets = problem()
    loss, *gradients = value_and_gradients(
        summed_cross_entropy(hidden, weight, torch.full_like(targets, IGNORED)), hidden, weight
    )
    assert loss == 0
    assert not any(gradient.any() for gradient in gradients)


def test_the_gradient_of_what_needs_none_is_left_out():
    hidden, weight, targets = problem()
    with torch.no_grad():
        alone = summed_cross_entropy(hidden, weight, targets)
    assert not alone.requires_grad
    frozen = weight.detach()
    (gradient,) = torch.autograd.grad(summed_cross_entropy(hidden, frozen, targets), hidden)
    whole = cross_entropy(linear(hidden, frozen), targets, reduction="sum")
    assert torch.allclose(gradient, torch.autograd.grad(whole, hidden)[0], atol=1e-5)


def test_under_autocast_products_are_rounded_and_the_loss_is_not():
    hidden, weight, targets = problem(num_tokens=512)
    with torch.autocast("cpu", torch.bfloat16):
        found = summed_cross_entropy(hidden, weight, targets, 100)
        logits = linear(hidden, weight)
    assert (found.dtype, logits.dtype) == (torch.float32, torch.bfloat16)
    # The same rounded logits, summed in float32: what is left are float32's own errors, 1e-7, not bfloat16's, 4e-3.
    by_table = cross_entropy(logits.float(), targets, reduction="sum")
    assert found.item() == pytest.approx(by_table.item(), rel=1e-6)
    plain = cross_entropy(linear(hidden, weight), targets, reduction="sum")
    for ours, theirs in zip(
        torch.autograd.grad(found, (hidden, weight)), torch.autograd.grad(plain, (hidden, weight)), strict=True
    ):
        assert ours.dtype == torch.float32
        assert (ours - theirs).norm() < 0.01 * theirs.norm()


def test_a_piece_holds_what_suits_the_device_or_what_was_asked_for():
    assert piece_tokens(4_096, 4_096, "cpu") == 512  # 2 million logits, 8 MB
    assert piece_tokens(16_384, 96_640, "cuda") == 2_777  # 268 million logits, 1.07 GB in float32
    assert piece_tokens(100, 96_640, "cpu") == 64, "never so few that products become slow"
    assert piece_tokens(100, 2_048, "cpu", chunk_tokens=7) == 7
    assert piece_tokens(100, 2_048, "cpu") == 100
    with pytest.raises(ConfigError, match="chunk_tokens=0"):
        piece_tokens(100, 2_048, "cpu", chunk_tokens=0)


@pytest.mark.parametrize("tied", [True, False])
def test_the_module_that_is_trained_agrees_with_the_models_own_loss(tied):
    shape = Shape(vocab=64, hidden=16, layers=1, heads=2, kv_heads=1, ffn=24, context=8, tied=tied)
    ids_BT = torch.arange(18).reshape(2, 9)
    model = build_model(shape, 0)
    NextToken(model)(ids_BT[:, :-1], ids_BT[:, 1:]).backward()
    ours = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    logits_BTV = model(input_ids=ids_BT[:, :-1]).logits
    cross_entropy(logits_BTV.flatten(0, 1), ids_BT[:, 1:].flatten(), reduction="sum").backward()
    for name, parameter in model.named_parameters():
        assert torch.allclose(ours[name], parameter.grad, rtol=1e-4, atol=1e-6), name
