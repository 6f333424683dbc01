"""pass@1 of replies that are known: a stand-in for the model says exactly what the test wants it to say."""

import pickle

import polars as pl
import pytest
from scipy.stats import binomtest

from opencoder_lib.errors import ConfigError
from opencoder_lib.evaluate import functions
from opencoder_lib.evaluate.functions import (
    Score,
    pass_at_1,
    program_of_chat,
    program_of_completion,
    prompt_ids,
    score_functions,
    scorer,
    stop_ids,
)
from opencoder_lib.exercises import HELD_OUT, draw
from opencoder_lib.exercises.render import chat, completion, question
from opencoder_lib.train.model import Shape, build_model
from opencoder_lib.train.tokenizer import CHAT_END, END, encode, train_tokenizer

TASKS = [*draw(12, 0, "test"), *draw(4, 0, "test", HELD_OUT)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([message["content"] for task in TASKS for message in chat(task)], 300)


def saying(monkeypatch, tokenizer, replies):
    """`generate` gives these replies, in the order of the prompts."""
    asked = []

    def generate(model, prompts, num_tokens, stop, batch_size):
        asked.extend(prompts)
        return encode(list(replies), tokenizer)

    monkeypatch.setattr(functions, "generate", generate)
    return asked


def test_right_answers_pass_and_the_table_says_what_each_task_was(monkeypatch, tokenizer):
    asked = saying(monkeypatch, tokenizer, [task.source for task in TASKS])
    score = pass_at_1(None, tokenizer, TASKS)
    assert score.share == 1.0
    assert score.results["family"].to_list() == [task.family for task in TASKS]
    assert score.results["held_out"].to_list() == [False] * 12 + [True] * 4
    assert score.where(held_out=True).results.height == 4
    assert tokenizer.decode(asked[0]) == f"user\n{question(TASKS[0])}\nassistant\n"


def test_each_reply_has_its_own_verdict(monkeypatch, tokenizer):
    first = TASKS[0]
    header = first.header
    replies = [
        first.source,
        f"{header}\n    return None",
        f"{header}\n    return",
        "import os",
        "I cannot do that.",
        "",
        f"Here it is:\n```python\n{first.source}```\nIt works.",
    ]
    saying(monkeypatch, tokenizer, replies)
    score = pass_at_1(None, tokenizer, [first] * len(replies))
    wanted = ["passed", "wrong", "wrong", "refused:Import", "error:SyntaxError", "error:NoSuchFunction", "passed"]
    assert score.results["verdict"].to_list() == wanted
    assert (score.num_passed, score.share) == (2, 2 / 7)
    assert score.verdicts().row(0) == ("passed", 2)


def test_a_completion_goes_on_from_the_docstring_and_ends_with_the_body(monkeypatch, tokenizer):
    asked = saying(monkeypatch, tokenizer, [f"\n    return {task.body}\n\n\nassert False\n" for task in TASKS])
    assert pass_at_1(None, tokenizer, TASKS, "completion").share == 1.0
    assert asked[0][0] == tokenizer.token_to_id(END)
    assert tokenizer.decode(asked[0][1:]) == completion(TASKS[0])


def test_what_a_program_is_in_a_reply():
    task = TASKS[0]
    assert program_of_chat("a = 1\n", task) == "a = 1\n"
    assert program_of_chat("Sure.\n```python\na = 1\n```\n```\nb = 2\n```", task) == "a = 1\n"
    assert program_of_chat("```\na = 1", task) == "a = 1\n"
    start = completion(task)
    assert program_of_completion("\n    x = 1\n\n    return x\nprint(1)\n    y", task) == (
        f"{start}\n    x = 1\n\n    return x\n"
    )
    assert program_of_completion("+ 'more'\n    return 1", task) == f"{start}+ 'more'\n    return 1\n"


def test_stop_tokens_end_a_turn_a_document_or_a_body(tokenizer):
    end, turn = tokenizer.token_to_id(END), tokenizer.token_to_id(CHAT_END)
    assert stop_ids(tokenizer, "chat") == {end, turn}
    stop = stop_ids(tokenizer, "completion")
    assert {end, *encode(["\n"], tokenizer)[0]} <= stop
    # The line end before an indented line goes on with the body.
    assert encode(["\n    return"], tokenizer)[0][0] not in stop


def table(counts):
    rows = [
        (f"{family}{n}", family, "kind", family in HELD_OUT, "", "", "passed" if n < passed else "wrong", n < passed)
        for family, (passed, of) in counts.items()
        for n in range(of)
    ]
    names = ("task", "family", "kind", "held_out", "reply", "program", "verdict", "passed")
    return Score(pl.DataFrame(rows, schema=names, orient="row"))


def test_the_interval_is_wilsons():
    found = table({"linear": (3, 10), "above": (4, 10)}).interval()
    wanted = binomtest(7, 20).proportion_ci(method="wilson")
    assert found == pytest.approx((wanted.low, wanted.high), abs=1e-6)


def test_the_interval_over_families_is_as_wide_as_the_families_differ():
    alike = table({name: (5, 10) for name in ("linear", "above", "suffix", "clamp")})
    assert alike.interval_over_families() == (0.5, 0.5)
    apart = table({"linear": (10, 10), "above": (10, 10), "suffix": (0, 10), "clamp": (0, 10)})
    assert apart.interval_over_families() == (0.0, 1.0)
    assert apart.interval() == pytest.approx((0.352, 0.648), abs=1e-3)
    assert apart.families().select("family", "held_out", "share").rows()[1:] == [
        ("above", False, 1.0),
        ("suffix", False, 0.0),
        ("clamp", True, 0.0),
    ]


def test_a_fresh_model_scores_nothing_and_the_scorer_can_be_sent_to_another_process(tokenizer):
    shape = Shape(vocab=300, hidden=16, layers=1, heads=2, kv_heads=2, ffn=24, context=512, tied=True)
    model = build_model(shape, 0)
    score = pickle.loads(pickle.dumps(scorer(num_tasks=6)))
    found = score(model, tokenizer)
    assert found.keys() == {"pass_at_1_seen", "pass_at_1_held_out"}
    assert found["pass_at_1_seen"] == found["pass_at_1_held_out"] == 0.0
    assert found == score_functions(model, tokenizer, num_tasks=6)


def test_what_cannot_be_scored_is_said(tokenizer):
    with pytest.raises(ConfigError, match="There is no task to score"):
        pass_at_1(None, tokenizer, [])
    with pytest.raises(ConfigError, match="style='essay' is none of chat, completion"):
        pass_at_1(None, tokenizer, TASKS, "essay")
    assert len(prompt_ids(TASKS[0], tokenizer, "chat")) > 0
