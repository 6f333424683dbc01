from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from opencoder_lib.errors import ConfigError, InputError
from opencoder_lib.train import loss as loss_module
from opencoder_lib.train import meter as meter_module
from opencoder_lib.train.loop import Feed, TrainingDiverged, branch, start_run, train
from opencoder_lib.train.model import Shape, build_model
from opencoder_lib.train.optim import Recipe, make_optimizers, set_rate
from opencoder_lib.train.packing import batch, document_positions, pack
from opencoder_lib.train.perplexity import bits_per_byte, hold_out
from opencoder_lib.train.schedule import WSD, wsd_lr
from opencoder_lib.train.tokenizer import train_tokenizer

TEXT = "def add(left, right):\n    return left + right\n\n\ndef double(x):\n    return add(x, x)\n"
SHAPE = Shape(vocab=280, hidden=32, layers=2, heads=2, kv_heads=2, ffn=64, context=16, tied=True)
FEED = Feed(batch_size=4, context=16, seed=0)
PLAN = WSD(num_steps=60, num_warmup=5, num_decay=15, peak=0.02, final=0.02 / 30)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([TEXT], 280)


@pytest.fixture(scope="module")
def tokens(tokenizer):
    return pack([TEXT] * 4, tokenizer)


def weights(run):
    return torch.cat([p.detach().flatten() for p in run.model.parameters()])


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_tiny_text_is_learnt_by_heart(tokens, optimizer):
    plan = WSD(num_steps=120, num_warmup=5, num_decay=30, peak=0.02, final=0.001)
    run = train(start_run(build_model(SHAPE, 0), Recipe(optimizer)), tokens, plan, FEED)
    assert run.log[0]["loss"] == pytest.approx(np.log(280), rel=0.02), "fresh weights guess evenly"
    assert run.log[-1]["loss"] < 0.2


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(tokens):
    runs = [train(start_run(build_model(SHAPE, s)), tokens, PLAN, Feed(4, 16, s), until=10) for s in (0, 0, 1)]
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert runs[0].log == runs[1].log
    assert not torch.equal(weights(runs[0]), weights(runs[2]))


def test_stopping_on_the_way_changes_nothing(tokens):
    whole = train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, until=12)
    parts = start_run(build_model(SHAPE, 0))
    for until in (5, 9, 12):
        train(parts, tokens, PLAN, FEED, until=until)
    assert torch.equal(weights(whole), weights(parts))
    assert whole.log == parts.log


def test_a_branch_goes_on_as_the_run_would_have_and_leaves_it_alone(tokens):
    run = train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, until=8)
    before = weights(run)
    copied = train(branch(run), tokens, PLAN, FEED, until=14)
    assert torch.equal(weights(run), before)
    assert run.step == 8
    assert torch.equal(weights(train(run, tokens, PLAN, FEED, until=14)), weights(copied))


def test_held_out_text_is_scored_before_during_and_after(tokens, tokenizer):
    held_out = hold_out([TEXT], tokenizer, 16)
    run = train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, held_out=held_out, evaluate_every=25)
    assert [row["step"] for row in run.evaluations] == [0, 25, 50, 60]
    assert [row["tokens"] for row in run.evaluations] == [0, 1_600, 3_200, 3_840]
    bits = [row["held_out_bits_per_byte"] for row in run.evaluations]
    assert bits[0] > 2 * bits[-1]


def test_scoring_does_not_disturb_training(tokens, tokenizer):
    plain = train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, until=6)
    scored = start_run(build_model(SHAPE, 0))
    train(scored, tokens, PLAN, FEED, until=6, held_out=hold_out([TEXT], tokenizer, 16), evaluate_every=2)
    assert torch.equal(weights(plain), weights(scored))


def test_a_loss_that_is_not_a_number_stops_the_run_with_its_step(tokens):
    run = train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, until=3)
    with torch.no_grad():
        run.model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(TrainingDiverged, match=r"Step 3: the loss is nan .* at learning rate 0\.016"):
        train(run, tokens, PLAN, FEED)
    assert run.step == 3


def test_an_exploding_loss_stops_the_run(tokens):
    run = start_run(build_model(SHAPE, 0))
    with torch.no_grad():
        run.model.model.norm.weight.fill_(1e4)
    with pytest.raises(TrainingDiverged, match=r"limit 16\.9"):  # 3 ln 280
        train(run, tokens, PLAN, FEED)


def test_going_back_or_past_the_plan_is_refused(tokens):
    run = train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, until=2)
    with pytest.raises(ConfigError, match="from step 2 to 1 "):
        train(run, tokens, PLAN, FEED, until=1)
    with pytest.raises(ConfigError, match="in a plan of 60 steps"):
        train(run, tokens, PLAN, FEED, until=61)


def test_tokens_marked_as_read_only_are_read_and_not_learned():
    # One window: 0 to 16, of which 5, 6 and 7 are marked. The mean is over all 16 targets.
    plain = np.arange(17, dtype=np.int32)
    marked = np.where((plain >= 5) & (plain <= 7), ~plain, plain)
    feed, plan = Feed(1, 16, 0), replace(PLAN, num_steps=1, num_warmup=0, num_decay=0)
    run = train(start_run(build_model(SHAPE, 0)), marked, plan, feed, precision="float32")
    ids = torch.from_numpy(plain.astype(np.int64))[None]
    with torch.no_grad():
        logits = build_model(SHAPE, 0)(input_ids=ids[:, :-1]).logits[0]
    learned = torch.cat([torch.arange(0, 4), torch.arange(7, 16)])
    expected = torch.nn.functional.cross_entropy(logits[learned], ids[0, 1:][learned], reduction="sum") / 16
    assert run.log[0]["loss"] == pytest.approx(float(expected), rel=1e-5)
    # The marked tokens still stand before those that follow: other words there give another loss.
    marked[6] = ~np.int32(99)
    other = train(start_run(build_model(SHAPE, 0)), marked, plan, feed, precision="float32")
    assert other.log[0]["loss"] != pytest.approx(float(expected), rel=1e-4)


def test_gradients_are_clipped_and_the_norm_before_is_recorded(tokens):
    run = train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, until=1, clip=1e-6)
    assert run.log[0]["gradient_norm"] > 1e-3


def test_muon_holds_the_matrices_inside_the_layers_and_adamw_the_rest_each_once():
    model = build_model(SHAPE, 0)
    muon, adamw = make_optimizers(model, Recipe())
    inside = {id(p) for name, p in model.named_parameters() if "layers" in name and p.ndim == 2}
    held = [id(p) for optimizer in (muon, adamw) for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in muon.param_groups[0]["params"]} == inside
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    set_rate([muon, adamw], 0.25)
    assert [o.param_groups[0]["lr"] for o in (muon, adamw)] == [0.25, 0.25]


def test_embeddings_can_have_a_rate_of_their_own_and_vectors_do_not_decay():
    model = build_model(replace(SHAPE, tied=False), 0)
    (adamw,) = optimizers = make_optimizers(model, Recipe("adamw", weight_decay=0.1, embedding_rate=4.0))
    set_rate(optimizers, 0.25)
    set_rate(optimizers, 0.5)
    by_weight = {id(p): group for group in adamw.param_groups for p in group["params"]}
    found = {name: by_weight[id(p)] for name, p in model.named_parameters()}
    for name, group in found.items():
        assert group["lr"] == (2.0 if name in ("model.embed_tokens.weight", "lm_head.weight") else 0.5), name
        assert group["weight_decay"] == (0.0 if "norm" in name else 0.1), name
    assert len(found) == len(by_weight)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"optimizer": "sgd"}, "'sgd' is none of muon, adamw"),
        ({"betas": (0.9, 1.0)}, r"must lie in \[0, 1\), not momentum=0.95, betas=\(0.9, 1.0\)"),
        ({"momentum": -0.1}, "momentum=-0.1"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
        ({"embedding_rate": 0.0}, "embedding_rate=0.0"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        Recipe(**wrong)


def test_progress_is_one_line_that_ends_when_the_run_does(tokens, capsys):
    train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, until=2, show_progress=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "step 2/2: loss" in out


def test_the_loop_does_what_ten_plain_lines_do(tokens):
    run = train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, until=4, precision="float32")
    model = build_model(SHAPE, 0)
    optimizers = make_optimizers(model, Recipe())
    losses = []
    for step in range(4):
        set_rate(optimizers, float(wsd_lr(torch.tensor([step]), PLAN)))
        ids = torch.from_numpy(batch(tokens, 0, step, 4, 16))
        loss = cross_entropy(model(input_ids=ids[:, :-1]).logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    assert [row["loss"] for row in run.log] == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize("option", [{"recompute": True}, {"loss_chunk_tokens": 5}], ids=["recomputed", "in pieces"])
def test_what_saves_memory_changes_nothing_but_roundings(tokens, option):
    plain, other = (
        train(start_run(build_model(SHAPE, 0), Recipe("adamw")), tokens, PLAN, FEED, until=3, precision="float32", **o)
        for o in ({}, option)
    )
    # AdamW divides by the size of the gradient: where that is next to nothing its roundings move a weight by a rate.
    assert [row["loss"] for row in other.log] == pytest.approx([row["loss"] for row in plain.log], rel=1e-6)
    assert [row["gradient_norm"] for row in other.log] == pytest.approx(
        [r["gradient_norm"] for r in plain.log], rel=1e-5
    )


@pytest.mark.parametrize("recompute", [False, True])
def test_a_recomputed_layer_is_passed_twice_a_step(tokens, recompute):
    run, passes = start_run(build_model(SHAPE, 0)), []
    run.model.model.layers[0].self_attn.register_forward_hook(lambda *_: passes.append(1))
    train(run, tokens, PLAN, FEED, until=3, recompute=recompute)
    assert len(passes) == (6 if recompute else 3)


def test_compiled_layers_and_loss_learn_the_same_and_a_branch_starts_plain(tokens, tokenizer, monkeypatch):
    # Another back end than the default one, which calls a C++ compiler and takes ten seconds.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    loss_module._compiled_loss_and_slope.cache_clear()
    held_out = hold_out([TEXT], tokenizer, 16)
    options = {"until": 3, "precision": "float32", "held_out": held_out}
    plain = train(start_run(build_model(SHAPE, 0), Recipe("adamw")), tokens, PLAN, FEED, **options)
    fast = train(start_run(build_model(SHAPE, 0), Recipe("adamw")), tokens, PLAN, FEED, compiled=True, **options)
    assert all(layer._compiled_call_impl is not None for layer in fast.model.model.layers)
    assert loss_module._compiled_loss_and_slope.cache_info().misses == 1
    loss_module._compiled_loss_and_slope.cache_clear()
    assert [row["loss"] for row in fast.log] == pytest.approx([row["loss"] for row in plain.log], rel=1e-5)
    assert fast.evaluations[-1] == pytest.approx(plain.evaluations[-1], rel=1e-5)
    train(copied := branch(fast), tokens, PLAN, FEED, until=4)
    assert all(layer._compiled_call_impl is None for layer in copied.model.model.layers)


def test_a_masked_document_does_not_see_its_neighbours_and_an_unmasked_one_does():
    module = start_run(build_model(SHAPE, 0)).module.eval()
    end, own = 0, [7, 8, 9, 10, 11]
    losses = {}
    for masked in (True, False):
        for before in ([1, 2, 3, end], [4, 5, 6, end]):
            ids = torch.tensor([[*before, *own, end, 20, 21]])
            # The loss of the second document alone: the last end is its last target.
            targets = torch.full_like(ids, loss_module.IGNORED)
            targets[0, 4:9] = ids[0, 5:10]
            positions = document_positions(ids, end) if masked else None
            losses.setdefault(masked, []).append(module(ids, targets, positions).item())
    alone = torch.tensor([[*own, end]])
    by_itself = module(alone[:, :-1], alone[:, 1:]).item()
    assert losses[True] == pytest.approx([by_itself] * 2, rel=1e-5)
    assert abs(losses[False][0] - losses[False][1]) > 1e-3


def test_the_end_of_a_document_masks_in_training_too(tokens, tokenizer):
    end = int(tokens[-1])
    open_, masked = (
        train(start_run(build_model(SHAPE, 0)), tokens, PLAN, replace(FEED, document_end=e), until=3).log
        for e in (None, end)
    )
    assert masked != open_
    absent = min(set(range(280)) - set(tokens.tolist()))
    no_border = train(start_run(build_model(SHAPE, 0)), tokens, PLAN, replace(FEED, document_end=absent), until=3).log
    assert [row["loss"] for row in no_border] == pytest.approx([row["loss"] for row in open_], rel=1e-5)


def test_named_held_out_sets_are_scored_each_under_its_name(tokens, tokenizer):
    sets = {"seen": hold_out([TEXT], tokenizer, 16), "other": hold_out(["zebra = 1\n"], tokenizer, 16)}
    run = train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, until=4, held_out=sets, evaluate_every=2)
    assert [sorted(row) for row in run.evaluations] == [
        ["other_bits_per_byte", "seen_bits_per_byte", "step", "tokens"]
    ] * 3
    assert run.evaluations[-1]["other_bits_per_byte"] == pytest.approx(bits_per_byte(run.model, sets["other"]))


class Rows:
    """A log that keeps what it is given."""

    def __init__(self):
        self.steps, self.evaluations = [], []
        self.step, self.evaluation = self.steps.append, self.evaluations.append


@pytest.mark.parametrize("read_every", [1, 4])
def test_a_log_gets_every_row_with_the_speed_however_seldom_losses_are_read(tokens, tokenizer, read_every):
    log = Rows()
    run = start_run(build_model(SHAPE, 0))
    options = {"until": 7, "held_out": hold_out([TEXT], tokenizer, 16), "log": log, "read_every": read_every}
    train(run, tokens, PLAN, FEED, evaluate_every=3, **options)
    assert [row["step"] for row in run.log] == [1, 2, 3, 4, 5, 6, 7]
    assert [{**row} for row in log.evaluations] == run.evaluations
    assert all(row.pop("tokens_per_second") > 0 for row in log.steps)
    assert log.steps == run.log
    every_step = train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, until=7).log
    assert run.log == every_step


def test_mfu_is_logged_where_the_peak_is_known(tokens, monkeypatch):
    monkeypatch.setattr(meter_module, "peak_flops", lambda device: 1e12)
    train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, until=1, log=(log := Rows()))
    row = log.steps[0]
    weights = 2 * (4 * 32 * 32 + 3 * 32 * 64) + 280 * 32
    assert row["mfu"] == pytest.approx(row["tokens_per_second"] * (6 * weights + 12 * 2 * 32 * 16) / 1e12)


def test_a_run_is_saved_whole_every_so_often_and_at_the_end(tokens, tokenizer):
    seen = []

    def save(run):
        seen.append((run.step, len(run.log), len(run.evaluations), run.saved_step))

    run = start_run(build_model(SHAPE, 0))
    options = {"held_out": hold_out([TEXT], tokenizer, 16), "evaluate_every": 2, "read_every": 5}
    train(run, tokens, PLAN, FEED, until=5, save=save, save_every=2, **options)
    assert seen == [(2, 2, 2, None), (4, 4, 3, 2), (5, 5, 4, 4)]
    assert run.saved_step == 5


@pytest.mark.parametrize("read_every", [1, 3])
def test_a_run_that_diverges_names_the_step_and_the_last_checkpoint(tokens, read_every):
    run = start_run(build_model(SHAPE, 0))
    train(run, tokens, PLAN, FEED, until=4, save=lambda run: None, save_every=2)
    before = weights(run)

    def save_or_spoil(run):
        raise AssertionError("a run that diverged must not be saved")

    with torch.no_grad():
        run.model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(
        TrainingDiverged, match=r"Step 4: the loss is nan.* The last checkpoint is of step 4\."
    ) as raised:
        train(run, tokens, PLAN, FEED, until=10, save=save_or_spoil, save_every=1, read_every=read_every)
    assert ("weights in memory are spoilt" in str(raised.value)) == (read_every > 1)
    assert len(run.log) == 4
    if read_every == 1:
        assert weights(run).isnan().sum() == 32 < len(before), "no weight but the one we spoilt"


def test_a_gradient_that_is_not_finite_stops_the_run_before_the_update(tokens):
    run = train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, until=2)
    before = weights(run)
    run.model.model.norm.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingDiverged, match=r"Step 2: the gradient's norm is (inf|nan)"):
        train(run, tokens, PLAN, FEED)
    assert torch.equal(weights(run), before)


def test_a_token_that_the_model_does_not_know_is_refused_with_the_vocabulary(tokens):
    other = tokens.astype(np.int64).copy()
    other[:] = 280
    with pytest.raises(InputError, match=r"Step 0 reads the token 280; the model's vocabulary has 280"):
        train(start_run(build_model(SHAPE, 0)), other, PLAN, FEED)


@pytest.mark.parametrize(
    ("feed", "clip", "said"),
    [
        (Feed(4, 16, 0, accumulate=3), 1.0, "batch_size=4 does not split into accumulate=3"),
        (Feed(4, 17, 0), 1.0, "context=17 is more than the 16 positions"),
        (FEED, 0.0, "clip=0.0 must be above 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tokens, feed, clip, said):
    with pytest.raises(ConfigError, match=said):
        train(start_run(build_model(SHAPE, 0)), tokens, PLAN, feed, clip=clip)


def test_a_document_mask_that_the_kernel_would_ignore_is_refused(tokens):
    # transformers reads documents off the positions for this kernel in a batch of one row only.
    run = start_run(build_model(SHAPE, 0))
    run.model.config._attn_implementation = "flash_attention_2"
    masked = replace(FEED, document_end=0, accumulate=2)
    with pytest.raises(ConfigError, match=r"would ignore the document mask with 2 sequences .* \(accumulate=4\)"):
        train(run, tokens, PLAN, masked, until=1)
