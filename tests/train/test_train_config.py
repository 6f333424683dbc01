import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from opencoder_lib.errors import ConfigError, InputError
from opencoder_lib.paper import fact
from opencoder_lib.train.job.config import SHIPPED, Config, read_config
from opencoder_lib.train.job.corpus import check_vocabulary
from opencoder_lib.train.job.typed import read_table
from opencoder_lib.train.model import SHAPES, count_parameters

LEAST = """
model = {shape = "toy"}
tokenizer = {vocab_size = 2048}
data = {paths = ["kept"]}
plan = {steps = 100, peak = 0.02, final = 0.001}
feed = {batch_size = 8}
out = {folder = "runs/a"}
"""


def with_changes(*changes, path=None, tmp_path=None):
    (tmp_path / "run.toml").write_text(LEAST)
    return read_config(tmp_path / "run.toml", changes)


def test_the_least_that_must_be_said_and_what_the_rest_becomes(tmp_path):
    config = with_changes(tmp_path=tmp_path)
    assert isinstance(config, Config)
    assert config.model.sizes() == SHAPES["toy"]
    assert list(config.data.sources) == ["corpus"]
    assert config.data.sources["corpus"].paths == ("kept",)
    assert (config.optimizer.name, config.optimizer.betas, config.parallel.strategy) == ("muon", (0.9, 0.95), "none")
    feed = config.feed.feed(256, end=0)
    assert (feed.batch_size, feed.context, feed.accumulate, feed.document_end) == (8, 256, 1, None)
    plan = config.plan.wsd(feed.tokens_per_step)
    assert (plan.num_steps, plan.num_warmup, plan.num_decay, plan.shape) == (100, 0, 0, "exponential")


def test_changes_on_the_command_line_win_and_read_as_toml_or_text(tmp_path):
    config = with_changes(
        "plan.peak=0.01", "out.folder=runs/b", "feed.document_mask=true", "model.layers=5", "plan.final = 1e-4",
        tmp_path=tmp_path,
    )  # fmt: skip
    assert (config.plan.peak, config.plan.final, config.out.folder) == (0.01, 1e-4, "runs/b")
    assert config.feed.document_mask is True
    assert config.model.sizes().layers == 5
    assert config.model.sizes().hidden == SHAPES["toy"].hidden
    assert config.feed.feed(256, end=7).document_end == 7


def test_tokens_become_steps_and_a_batch_is_split_over_processes_and_micro_batches(tmp_path):
    changes = ("plan={tokens = 1_000_000, warmup_tokens = 20_480, decay_tokens = 204_800, peak = 0.02, final = 0.01}",)
    config = with_changes(*changes, "feed.micro_batch=2", tmp_path=tmp_path)
    plan = config.plan.wsd(8 * 256)
    assert (plan.num_steps, plan.num_warmup, plan.num_decay) == (488, 10, 100)  # 1,000,000 / 2,048 = 488.3
    assert config.feed.feed(256, 0, world_size=2).accumulate == 2
    with pytest.raises(ConfigError, match="Make it a multiple of 6"):
        config.feed.feed(256, 0, world_size=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("plan.peek=1", r"\[plan\] has no key 'peek'\. Did you mean peak\?"),
        ("optimiser={}", r"The configuration has no key 'optimiser'\. Did you mean optimizer\?"),
        ("data.sources.a.path=['x']", r"\[data\.sources\.a\] has no key 'path'\. Did you mean paths\?"),
        ("plan.peak=high", r"plan\.peak = 'high' must be a number, not a text"),
        ("plan.steps=1.5", r"plan\.steps = 1\.5 must be an integer, not a number"),
        ("feed.batch_size=true", r"feed\.batch_size = True must be an integer, not a truth value"),
        ("compute.compile=1", r"compute\.compile = 1 must be a truth value \(true or false\), not an integer"),
        ("data.paths='kept'", r"data\.paths = 'kept' must be a list of texts"),
        ("data.paths=[1]", r"data\.paths\[0\] = 1 must be a text, not an integer"),
        ("optimizer.betas=[0.9]", r"optimizer\.betas = \[0\.9\] must be a list of 2 numbers"),
        ("out='runs'", r"out = 'runs' must be a section: \[out\]"),
        ("model.shape=tooy", r"There is no model shape 'tooy'\. Did you mean toy\?"),
        ("model.heads=3", r"hidden=128 must split into 3 heads"),
        ("model.layers=0", r"model\.layers = 0 must be above 0"),
        ("model={hidden = 64, layers = 2}", r"\[model\] lacks vocab, heads, kv_heads, ffn, context"),
        ("model.attention=flsh", "model.attention = 'flsh' is none of sdpa"),
        ("plan.tokens=5", r"\[plan\] needs either steps or tokens"),
        ("plan={peak = 1, final = 1}", r"\[plan\] needs either steps or tokens"),
        ("plan={steps = 5}", r"\[plan\] lacks peak, final"),
        ("plan.shape=lineer", r"plan\.shape = 'lineer' is none of .* Did you mean linear\?"),
        ("tokenizer.path=x", r"\[tokenizer\] needs either path or vocab_size"),
        ("data.sources.a.paths=['x']", r"\[data\] needs either paths or one or more \[data\.sources\.NAME\]"),
        ("data={sources = {'a/b' = {paths = ['x']}}}", r"data\.sources: 'a/b' is no name"),
        ("data={sources = {a = {paths = ['x'], weight = 0}}}", r"data\.sources\.a\.weight = 0\.0 must be above 0"),
        ("data.held_out={frac = 1.5}", r"data\.held_out\.frac = 1\.5 must lie between 0 and 1"),
        ("data.held_out={frac = 0.1, paths = ['x']}", r"\[data\.held_out\] needs either frac"),
        ("parallel.strategy=fdsp", r"parallel\.strategy = 'fdsp' is none of none, ddp, fsdp\. Did you mean"),
        ("compute.precision=bf16", r"compute\.precision = 'bf16' is none of .* Did you mean bfloat16\?"),
        ("compute.threads=0", r"compute\.threads = 0 must be above 0"),
        ("optimizer.name=adam", r"optimizer\.name = 'adam' is none of muon, adamw\. Did you mean adamw\?"),
        ("optimizer.clip=0", r"optimizer\.clip = 0\.0 must be above 0"),
        ("out.keep_last=0", r"out\.keep_last = 0 must be above 0"),
        ("out.save_every=-1", r"out\.save_every = -1 must be at least 0"),
        ("out.dtype=bf16", r"out\.dtype = 'bf16' is none of"),
        ("peak", r"--set 'peak' must read section\.key=value"),
        ("plan.peak.x=1", r"--set 'plan\.peak\.x=1': peak is no section"),
    ],
)
def test_a_mistake_is_told_with_key_value_and_what_it_should_be(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        with_changes(change, tmp_path=tmp_path)


def test_a_file_that_is_not_there_or_not_toml_is_told(tmp_path):
    with pytest.raises(
        InputError, match=r"no configuration run\.toml\. Shipped.*: base, opencoder-1\.5b, opencoder-8b"
    ):
        read_config("run.toml")
    (tmp_path / "bad.toml").write_text("[model\n")
    with pytest.raises(InputError, match=r"bad\.toml cannot be read as TOML: .*line 1"):
        read_config(tmp_path / "bad.toml")


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_is_valid_and_found_by_its_name(path):
    config = read_config(path.stem)
    assert config == read_table(Config, tomllib.loads(path.read_text()))
    shape = config.model.sizes()
    feed = config.feed.feed(shape.context, 0)
    config.plan.wsd(feed.tokens_per_step)
    assert feed.context <= shape.context
    assert config.out.folder == f"runs/{path.stem}"
    if config.tokenizer.vocab_size:
        check_vocabulary(config.tokenizer.vocab_size, shape.vocab)


def paper(key):
    return fact(f"pretrain.{key}").value


def test_the_configuration_of_the_small_model_is_the_papers():
    config = read_config("opencoder-1.5b")
    shape, feed = config.model.sizes(), config.feed.feed(4_096, 0)
    plan = config.plan.wsd(feed.tokens_per_step)
    assert shape.vocab == paper("vocabulary")
    assert count_parameters(shape) == 1_905_650_880
    assert round(count_parameters(shape, embeddings=False) / 1e9, 1) == paper("small_parameters")
    assert (feed.batch_size, feed.context) == (paper("batch"), paper("sequence"))
    assert feed.tokens_per_step == paper("tokens_per_step")
    assert (plan.peak, plan.final, plan.num_warmup) == (paper("peak_lr"), paper("final_lr"), paper("warmup_steps"))
    assert plan.final / plan.peak == pytest.approx(paper("rate_ratio"))
    assert plan.num_decay / plan.num_steps == pytest.approx(paper("frac_decay"), abs=5e-5)
    assert plan.num_warmup / plan.num_steps == pytest.approx(paper("frac_warmup"), abs=5e-6)
    assert plan.shape in paper("schedule")
    assert config.plan.stop_at == plan.decay_start
    assert config.optimizer.clip == paper("clipping")
    assert config.feed.document_mask is (paper("document_mask") != "none")


def test_the_configuration_of_the_large_model_is_the_papers():
    config = read_config("opencoder-8b")
    shape, feed = config.model.sizes(), config.feed.feed(8_192, 0)
    plan = config.plan.wsd(feed.tokens_per_step)
    assert shape.vocab == paper("vocabulary")
    assert count_parameters(shape) == 7_771_262_976
    assert round(count_parameters(shape) / 1e9) == paper("large_parameters")
    # Warm-up of 2,000 steps is 16.8 B tokens at this batch, one of the paper's own clashes.
    assert round(plan.num_warmup * feed.tokens_per_step / 1e9, 1) == fact("clash.warmup_large").value
    assert (plan.peak, plan.final, plan.num_warmup) == (paper("peak_lr"), paper("final_lr"), paper("warmup_steps"))
    # 2.5 T tokens before the annealing.
    assert round(plan.decay_start * feed.tokens_per_step / 1e12, 1) == fact("overview.large_tokens").value
    assert config.plan.stop_at == plan.decay_start
    first_phase = read_config("opencoder-8b", ["feed.batch_size=2048", "feed.context=4096"])
    assert first_phase.feed.feed(8_192, 0).tokens_per_step == feed.tokens_per_step


@pytest.mark.parametrize(("tokens", "vocab", "fits"), [
    (2_048, 2_048, True),
    (2_000, 2_048, True),  # rounded up to a multiple of 128
    (2_000, 2_001, False),  # not rounded
    (1_900, 2_048, False),  # a multiple, but not the next
    (2_049, 2_048, False),
])  # fmt: skip
def test_a_vocabulary_is_the_tokenizers_or_that_rounded_up(tokens, vocab, fits):
    if fits:
        check_vocabulary(tokens, vocab)
    else:
        with pytest.raises(ConfigError, match=f"model.vocab = {tokens}"):
            check_vocabulary(tokens, vocab)


def test_the_page_on_configurations_names_every_section_and_key():
    page = (Path(__file__).parents[2] / "book/train-config.md").read_text(encoding="utf-8")
    for section, kind in get_type_hints(Config).items():
        kind = next((inner for inner in get_args(kind) if is_dataclass(inner)), kind)
        assert f"`[{section}]`" in page
        for key in fields(kind):
            assert f"`{key.name}`" in page or f"`[{section}.{key.name}" in page, f"{section}.{key.name}"
