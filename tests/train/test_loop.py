import numpy as np
import pytest
import torch

from opencoder_lib.errors import ConfigError
from opencoder_lib.train.loop import Feed, TrainingDiverged, branch, start_run, train
from opencoder_lib.train.model import Shape, build_model
from opencoder_lib.train.optim import Recipe, make_optimizers, set_rate
from opencoder_lib.train.packing import pack
from opencoder_lib.train.perplexity import hold_out
from opencoder_lib.train.schedule import WSD
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


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ConfigError, match="'sgd' is none of muon, adamw"):
        Recipe("sgd")


def test_progress_is_one_line_that_ends_when_the_run_does(tokens, capsys):
    train(start_run(build_model(SHAPE, 0)), tokens, PLAN, FEED, until=2, show_progress=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "step 2/2: loss" in out
