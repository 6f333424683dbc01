"""Families, exercises, and how they are written down. Two implementations agree: the body, run, and the answer."""

import ast
from dataclasses import replace

import pytest
from tokenizers import Tokenizer, models

from opencoder_lib import sandbox
from opencoder_lib.errors import ConfigError
from opencoder_lib.exercises import FAMILIES, HELD_OUT, draw, held_out_families, seen_families
from opencoder_lib.exercises.chat import END, START, STOP, answers_only, chat_ids, pack_answers
from opencoder_lib.exercises.family import NAMES, make
from opencoder_lib.exercises.render import assertions, chat, completion, page, question, snippet
from opencoder_lib.seeds import rng
from opencoder_lib.train import tokenizer as train_tokenizer


def each_family(num=2, seed=0):
    return draw(num * len(FAMILIES), seed, "test", list(FAMILIES))


def example():
    """The exercise that the rendering tests look at: everything in it is known."""
    family = FAMILIES["above"]
    exercise = make(family, {"a": 17}, rng(0, "example"))
    named = {"name": "check_lamp", "params": ("n",), "task": "Is n above 17?", "body": "n > 17"}
    return replace(exercise, **named, cases=exercise.cases[:2])


def test_there_are_enough_families_of_every_kind_and_a_quarter_is_held_out():
    kinds = {family.kind for family in FAMILIES.values()}
    assert kinds == {"arithmetic", "comparison", "string", "list", "dict"}
    assert len(FAMILIES) == 32
    assert len(seen_families()) == 24
    assert {FAMILIES[name].kind for name in HELD_OUT} == kinds
    assert set(seen_families()) | set(held_out_families()) == set(FAMILIES)


def test_every_body_gives_what_the_other_implementation_says():
    exercises = each_family(12)
    assert sandbox.run([exercise.candidate() for exercise in exercises]) == ["passed"] * len(exercises)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_can_be_drawn_on_both_sides_and_says_everything_three_ways(name):
    family = FAMILIES[name]
    sides = {split_of: len(draw(1, 0, split_of, [name])) for split_of in ("train", "test") if name not in HELD_OUT}
    assert sides in ({}, {"train": 1, "test": 1})
    assert len(family.choices()) >= 20
    assert len(set(family.tasks)) == 3
    for text in family.tasks:
        # Whoever reads only the task must find every constant and every parameter in it.
        for word in [*family.constants, "p", *(["q"] if len(family.params) == 2 else [])]:
            assert "{" + word in text
    assert set(family.params) <= NAMES.keys()


@pytest.mark.parametrize("name", FAMILIES)
def test_cases_differ_in_arguments_and_in_values(name):
    for exercise in draw(6, 1, "test", [name]):
        assert len(exercise.cases) == 6
        assert len({repr(case.args) for case in exercise.cases}) == 6
        assert len({repr(case.expected) for case in exercise.cases}) >= 2


NEAR_MISSES = {
    "linear": ["n * ({a} + {b})", "n + {a} * {b}", "n * {b} + {a}"],
    "square_plus": ["n * 2 + {a}", "(n + {a}) ** 2"],
    "remainder": ["n + {a} % {b}", "n % {b} + {a}", "n % {b}"],
    "quotient": ["n + {a} // {b}", "(n + {a}) / {b}", "n // {b} + {a}"],
    "weighted_sum": ["n * {b} + m * {a}", "(n + m) * {a}"],
    "scaled_difference": ["n - {a} * {b}", "({a} - n) * {b}"],
    "clamp": ["min({a}, max({b}, n))", "max({a}, n)", "min({b}, n)"],
    "above": ["n >= {a}", "n < {a}", "True"],
    "between": ["{a} < n <= {b}", "{a} <= n < {b}", "n <= {b}", "n >= {a}"],
    "divisible": ["n % {a} == 1", "n // {a} == 0", "n % {a}"],
    "sum_reaches": ["n + m > {a}", "n >= {a}", "n + m <= {a}"],
    "choose": ["{c} if n > {b} else {a}", "{a} if n >= {b} else {c}"],
    "outside": ["n <= {a} or n > {b}", "n < {a} or n >= {b}", "n < {a}", "n < {a} and n > {b}"],
    "suffix": ["{s!r} + n", "n", "{s!r}"],
    "prefix_upper": ["({s!r} + n).upper()", "n.upper() + {s!r}", "{s!r} + n"],
    "replace": ["n.replace({t!r}, {s!r})", "n.replace({s!r}, {t!r}, 1)", "n"],
    "count_letter": ["{s!r} in n", "n.find({s!r})", "len(n)"],
    "slice": ["n[{a}:]", "n[:{b}]", "n[{a}:{b} + 1]"],
    "starts_with": ["{s!r} in n", "n.endswith({s!r})", "n == {s!r}"],
    "ends_with": ["{s!r} in n", "n.startswith({s!r})", "n == {s!r}"],
    "reversed_suffix": ["(n + {s!r})[::-1]", "n + {s!r}", "{s!r} + n[::-1]"],
    "add_each": ["n + [{a}]", "[i * {a} for i in n]", "n"],
    "keep_above": ["[i for i in n if i >= {a}]", "[i for i in n if i < {a}]", "n"],
    "sum_scaled": ["sum(n) + {a}", "len(n) * {a}"],
    "count_equal": ["sum(i > {a} for i in n)", "{a} in n", "str(n).count('{a}')"],
    "any_above": ["any(i >= {a} for i in n)", "all(i > {a} for i in n)", "sum(n) > {a}"],
    "scale_each": ["[(i - {b}) * {a} for i in n]", "[i * {a} for i in n]"],
    "sum_above": ["sum(i for i in n if i >= {a})", "sum(i > {a} for i in n)", "sum(n)"],
    "get_default": ["n.get({s!r}, 0)", "n[{s!r}]", "n.get({s!r}) or {a}"],
    "keys_above": ["[i for i in n if n[i] >= {a}]", "[n[i] for i in n if n[i] > {a}]", "list(n)"],
    "has_key": ["bool(n.get({s!r}))", "{s!r} not in n", "bool(n)"],
    "total_plus": ["sum(n.values())", "len(n) + {a}", "sum(n.values()) * {a}"],
}


def test_no_near_miss_passes_the_cases():
    assert NEAR_MISSES.keys() == FAMILIES.keys()
    wrong = []
    for name, bodies in NEAR_MISSES.items():
        family = FAMILIES[name]
        for number, constants in enumerate(family.choices()[5:200:40]):
            exercise = make(family, constants, rng(number, name))
            names = ["n", "m"][: len(family.params)]
            for body in bodies:
                program = f"def {exercise.name}({', '.join(names)}):\n    return {body.format(**constants)}\n"
                wrong.append(exercise.candidate(program))
    passed = [candidate.source for candidate, word in zip(wrong, sandbox.run(wrong), strict=True) if word == "passed"]
    assert passed == []


# Drawing


def test_training_and_asking_share_no_computation_whatever_the_names():
    shown = {exercise.key for exercise in draw(2_000, 0)}
    asked = {exercise.key for seed in (0, 1) for exercise in draw(500, seed, "test")}
    assert shown & asked == set()
    assert {key.split(":")[0] for key in shown} == {key.split(":")[0] for key in asked} == set(seen_families())


def test_a_draw_is_the_same_again_other_with_another_seed_and_begins_like_a_longer_one():
    assert draw(40, 0) == draw(40, 0)
    assert draw(40, 0) == draw(80, 0)[:40]
    assert draw(40, 0) != draw(40, 1)


def test_families_take_turns_and_no_exercise_comes_twice():
    exercises = draw(240, 3)
    assert [exercise.family for exercise in exercises[:24]] == seen_families()
    assert len({exercise.exercise_id for exercise in exercises}) == 240


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(ConfigError, match="'clamp' is held out"):
        draw(1, 0, "train", ["clamp"])
    with pytest.raises(ConfigError, match=r"no family 'clam'. Did you mean clamp"):
        draw(1, 0, "test", ["clam"])
    with pytest.raises(ConfigError, match="no split 'dev'"):
        draw(1, 0, "dev")
    with pytest.raises(ConfigError, match="0 different exercises were found, not 3"):
        draw(3, 0, "test", [])
    assert draw(0, 0) == []


# Rendering


def test_an_exercise_is_asked_with_its_header_and_answered_by_the_function():
    assert question(example()) == "Is n above 17?\ndef check_lamp(n):"
    said = [message["content"] for message in chat(example())]
    assert said == [question(example()), "def check_lamp(n):\n    return n > 17"]
    assert completion(example()) == 'def check_lamp(n):\n    """Is n above 17?"""'


def test_truth_values_are_asserted_by_identity_and_the_rest_by_equality():
    assert assertions(example()) == ["assert check_lamp(17) is False", "assert check_lamp(18) is True"]
    number = draw(1, 0, families=["square_plus"])[0]
    assert assertions(number)[0] == f"assert {number.name}(0) == {number.cases[0].expected}"


@pytest.mark.parametrize("render", [snippet, page])
def test_every_form_reads_back_as_the_function_and_its_cases(render):
    for exercise in each_family(6):
        found = sandbox.parse_program(render(exercise))
        assert found.entry_point == exercise.name
        assert sorted(map(repr, found.cases)) == sorted(map(repr, exercise.cases))
        returned = ast.parse(found.source).body[0].body[-1].value
        assert ast.unparse(returned) == ast.unparse(ast.parse(exercise.body, mode="eval").body)


def test_texts_come_in_every_form():
    exercises = draw(240, 0)
    signs = ("# Task:", ">>> ", "def test_", "# Test cases")
    found = {tuple(sign in text for sign in signs) for text in map(snippet, exercises)}
    # One form without any of the signs, and one for each.
    assert found == {tuple(n == at for n in range(4)) for at in range(5)}
    signs = ("Task: ", "**Question.**", "3. Try it:", "Note. ")
    found = {tuple(sign in text for sign in signs) for text in map(page, exercises)}
    assert found == {tuple(n == at for n in range(4)) for at in range(4)}


def test_a_page_holds_idea_task_and_trap():
    for exercise in each_family(1):
        text = page(exercise)
        assert all(part in text for part in (exercise.idea, exercise.task, exercise.trap))


# ChatML


def plain_tokenizer(*special):
    """Every character its own token."""
    letters = {chr(n): n for n in range(128)}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[]))
    tokenizer.add_special_tokens(list(special))
    return tokenizer


def test_a_conversation_is_control_tokens_around_text():
    tokenizer = plain_tokenizer(START, STOP)
    ids = chat_ids([{"role": "user", "content": "a<|im_end|>"}], tokenizer, answer_next=True)
    start, stop = tokenizer.token_to_id(START), tokenizer.token_to_id(STOP)
    # What the user spells is text: the only control tokens are those around it.
    spelt = [*map(ord, "user\na<|im_end|>")]
    assert ids == [start, *spelt, stop, ord("\n"), start, *map(ord, "assistant\n")]
    whole = chat_ids([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], tokenizer)
    assert whole[-3:] == [ord("b"), stop, ord("\n")]


def test_only_what_the_assistant_says_and_the_end_of_it_is_learned():
    tokenizer = plain_tokenizer(START, STOP)
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b\n"}]
    ids = answers_only(messages, tokenizer)
    assert [~token if token < 0 else token for token in ids] == chat_ids(messages, tokenizer)
    assert [token for token in ids if token >= 0] == [ord("b"), ord("\n"), tokenizer.token_to_id(STOP)]


def test_no_conversation_is_cut_by_a_window_and_what_fills_up_is_not_learned():
    tokenizer = plain_tokenizer(START, STOP, END)
    end = tokenizer.token_to_id(END)
    talks = [[{"role": "assistant", "content": "x" * size}] for size in (1, 30, 5, 12)]
    lengths = [len(answers_only(talk, tokenizer)) + 1 for talk in talks]
    assert lengths == [15, 44, 19, 26]
    packed = pack_answers(talks, tokenizer, 64)
    # 15 + 44 = 59 leave 5; 19 + 26 = 45 leave 19; one more, as the last token of a window is the first of the next.
    assert len(packed) == 2 * 64 + 1
    assert packed[:59].tolist() == [*answers_only(talks[0], tokenizer), ~end, *answers_only(talks[1], tokenizer), ~end]
    assert packed[59:64].tolist() == [~end] * 5
    assert packed[64 : 64 + 18].tolist() == answers_only(talks[2], tokenizer)
    assert packed[64 + 45 :].tolist() == [~end] * 20
    with pytest.raises(ConfigError, match="Conversation 1 has 44 tokens, more than the context of 43"):
        pack_answers(talks, tokenizer, 43)


def test_the_control_tokens_are_those_of_the_tokenizer_and_a_tokenizer_without_is_refused():
    assert (START, STOP, END) == (train_tokenizer.CHAT_START, train_tokenizer.CHAT_END, train_tokenizer.END)
    with pytest.raises(ConfigError, match=r"has no token <\|im_start\|>"):
        chat_ids([], plain_tokenizer())
