import pytest

from opencoder_lib.errors import ConfigError
from opencoder_lib.evaluate.ablation import TABLES, paired, run_grid
from opencoder_lib.train.arms import Setting, Trainer, prepare
from opencoder_lib.train.model import Shape
from opencoder_lib.train.tokenizer import train_tokenizer

SHAPE = Shape(vocab=280, hidden=16, layers=1, heads=2, kv_heads=2, ffn=32, context=16, tied=True)
ODD = [f"def odd_{at}(value):\n    return value + {at}\n" for at in range(1, 120, 2)]
EVEN = [f"def even_{at}(value):\n    return value * {at}\n" for at in range(0, 120, 2)]
UNSEEN = (
    [f"def unseen_{at}(value):\n    return {at}\n" for at in range(6)],
    ["one", "one", "two", "two", "two", "six"],
)
ARMS = {"odd": {"odd": 1.0}, "same": {"odd": 1.0}, "even": {"even": 1.0}, "both": {"odd": 0.75, "even": 0.25}}


def bench(folder, sources=None, held_out=None, arms=None, **setting):
    given = {"num_steps": 10, "batch_size": 2, "evaluate_every": 4, "precision": "float32"} | setting
    sources = sources or {"odd": ODD, "even": EVEN}
    bpe = train_tokenizer([*ODD, *EVEN], SHAPE.vocab)
    return prepare(folder, Setting(SHAPE, **given), bpe, sources, arms or ARMS, held_out or {"code": UNSEEN})


def test_arms_with_the_same_data_are_the_same_run(tmp_path):
    outcomes = Trainer(bench(tmp_path))(seed=0, arms=("odd", "same", "even"))
    assert outcomes["odd"]["losses"] == outcomes["same"]["losses"]
    assert outcomes["odd"]["evaluations"] == outcomes["same"]["evaluations"]
    assert outcomes["odd"]["losses"] != outcomes["even"]["losses"]


def test_an_outcome_depends_on_bench_arm_and_seed_only(tmp_path):
    train = Trainer(bench(tmp_path))
    alone, beside = train(0, ("even",))["even"], train(0, ("odd", "even"))["even"]
    assert [alone[key] for key in ("losses", "evaluations", "units")] == [
        beside[key] for key in ("losses", "evaluations", "units")
    ]
    assert alone["losses"] != train(1, ("even",))["even"]["losses"]


def test_all_arms_start_from_the_same_weights(tmp_path):
    # Before the first update the loss is that of the fresh model; one step a look makes it the first block.
    outcomes = Trainer(bench(tmp_path, num_steps=1, frac_warmup=0, frac_decay=0))(3, ("odd", "even"))
    bits = [outcomes[arm]["losses"][0]["loss"] for arm in ("odd", "even")]
    assert bits[0] == pytest.approx(bits[1], abs=0.2)


def test_arms_keep_the_order_they_were_given_in(tmp_path):
    assert bench(tmp_path).arms == ("odd", "same", "even", "both")


def test_every_arm_reads_as_many_tokens_and_a_mixture_its_weights(tmp_path):
    outcomes = Trainer(bench(tmp_path))(0, tuple(ARMS))
    # 10 steps of 2 windows of 16 tokens.
    assert {arm: sum(row["tokens"] for row in outcome["read"]) for arm, outcome in outcomes.items()} == dict.fromkeys(
        ARMS, 320
    )
    assert {row["source"]: row["tokens"] for row in outcomes["both"]["read"]} == {"odd": 240, "even": 80}


def test_a_look_every_so_often_and_one_at_the_end(tmp_path):
    outcome = Trainer(bench(tmp_path))(0, ("odd",))["odd"]
    assert [row["step"] for row in outcome["evaluations"]] == [4, 8, 10]
    assert [row["tokens"] for row in outcome["losses"]] == [320]
    assert [(row["unit"], row["n_bytes"]) for row in outcome["units"]] == [
        (name, sum(len(text) for text, unit in zip(*UNSEEN, strict=True) if unit == name))
        for name in ("one", "six", "two")
    ]
    total = sum(row["bits"] for row in outcome["units"]) / sum(row["n_bytes"] for row in outcome["units"])
    assert total == pytest.approx(outcome["evaluations"][-1]["bits_per_byte"])


def test_a_trunk_is_shared_to_the_last_bit_and_read_on_not_again(tmp_path):
    shared = bench(tmp_path, trunk="odd", frac_decay=0.4, arms={"odd": {"odd": 1.0}, "both": {"odd": 0.5, "even": 0.5}})
    outcomes = Trainer(shared)(0, ("odd", "both"))
    before = {arm: [row for row in outcome["evaluations"] if row["step"] <= 6] for arm, outcome in outcomes.items()}
    assert [row["step"] for row in before["odd"]] == [4, 6]
    assert before["odd"] == before["both"]
    # A trunk and an arm that goes on with it are one run over one source, cut in two.
    whole = Trainer(bench(tmp_path / "whole", frac_decay=0.4, arms={"odd": {"odd": 1.0}}))(0, ("odd",))
    assert outcomes["odd"]["evaluations"][-1] == whole["odd"]["evaluations"][-1]
    assert {row["source"]: row["tokens"] for row in outcomes["both"]["read"]} == {"odd": 64, "even": 64}


def test_a_source_may_have_texts_for_each_seed(tmp_path):
    ready = bench(tmp_path, {"odd": {0: ODD[:30], 1: ODD[30:]}, "even": EVEN})
    assert ready.source("odd", 0).fingerprint != ready.source("odd", 1).fingerprint
    assert ready.source("even", 0).fingerprint == ready.source("even", 1).fingerprint
    with pytest.raises(ConfigError, match=r"'odd' was prepared for the seeds 0, 1, not for 2"):
        ready.source("odd", 2)


def test_the_key_of_a_run_changes_with_what_it_reads_and_with_nothing_else(tmp_path):
    first = bench(tmp_path / "a")
    other = bench(tmp_path / "b", {"odd": ODD, "even": EVEN[:50]})
    assert first.key("odd", 0) == other.key("odd", 0)
    assert first.key("even", 0) != other.key("even", 0)
    assert first.key("both", 0) != other.key("both", 0)
    assert first.key("odd", 0) != first.key("odd", 1)
    assert first.key("odd", 0) != bench(tmp_path / "c", num_steps=12).key("odd", 0)
    assert first.key("odd", 0) != bench(tmp_path / "d", held_out={"code": (UNSEEN[0], ["x"] * 6)}).key("odd", 0)


def test_a_held_out_text_in_a_source_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"1 texts of the source 'odd' are held out too \(in 'code'\)"):
        bench(tmp_path, {"odd": [*ODD, UNSEEN[0][2]], "even": EVEN})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"arms": {"all": {"od": 1.0}}}, "Arm 'all' reads 'od', which is no source. Did you mean odd"),
        ({"trunk": "evn"}, "trunk='evn' is no source. Did you mean even"),
        ({"held_out": {"code": ([], [])}}, "'code' has 0 texts"),
        ({"held_out": {"code": (["a"], [])}}, "1 texts and 0 units"),
        ({"evaluate_every": 0}, "evaluate_every=0"),
    ],
)
def test_what_cannot_be_prepared_is_named(tmp_path, given, message):
    with pytest.raises(ConfigError, match=message):
        bench(tmp_path, **given)


def test_the_grid_in_two_processes_gives_the_outcomes_of_one(tmp_path):
    train = Trainer(bench(tmp_path / "bench"), score=count_parameters, score_key="parameters")
    run = {
        workers: run_grid("try", train, ("odd", "even"), "odd", (0, 1), tmp_path / str(workers), workers=workers)
        for workers in (1, 2)
    }
    for table in TABLES:
        one, two = (
            getattr(run[workers], table).filter(**({"metric": "code"} if table == "runs" else {})) for workers in (1, 2)
        )
        assert one.equals(two)
    assert paired(run[1], "parameters")["difference"].to_list() == [0.0]


def count_parameters(model, tokenizer):
    return {
        "parameters": float(sum(parameter.numel() for parameter in model.parameters()) + tokenizer.get_vocab_size())
    }
