"""An exercise as text: a chat, the start of a function to be completed, a documented snippet with tests, a page.

Snippets and pages come in several forms, chosen by the exercise's id: the same exercise is always the same text.
Every one holds asserts that `sandbox.parse_program` reads back.
"""

from collections.abc import Sequence

from opencoder_lib import seeds
from opencoder_lib.exercises.family import Exercise
from opencoder_lib.sandbox import Case


def chat(exercise: Exercise) -> list[dict[str, str]]:
    """The exercise as a question and its answer, for `chat_ids`."""
    return [
        {"role": "user", "content": question(exercise)},
        {"role": "assistant", "content": exercise.source.rstrip("\n")},
    ]


def question(exercise: Exercise) -> str:
    """What the user says: the task, and the header of the function that is wanted."""
    return f"{exercise.task}\n{exercise.header}"


def completion(exercise: Exercise) -> str:
    """The function's header and docstring, up to where its body begins: the form of HumanEval."""
    return f'{exercise.header}\n    """{exercise.task}"""'


def snippet(exercise: Exercise) -> str:
    """A self-contained function with test cases: the paper's high-quality code snippet."""
    forms = (_snippet_plain, _snippet_plain, _snippet_test, _snippet_typed, _snippet_comment, _snippet_doctest)
    return _chosen(forms, exercise, "snippet")(exercise)


def page(exercise: Exercise) -> str:
    """A page of a textbook: the idea, the function, worked cases, what to watch for. The paper's code textbook."""
    forms = (_page_lesson, _page_question, _page_steps, _page_notes)
    return _chosen(forms, exercise, "page")(exercise)


def assertions(exercise: Exercise) -> list[str]:
    """The cases as asserts."""
    return [f"assert {_said(exercise, case)}" for case in exercise.cases]


def call(exercise: Exercise, case: Case) -> str:
    """A case's call as it is written."""
    return f"{exercise.name}({', '.join(map(repr, case.args))})"


def _said(exercise: Exercise, case: Case) -> str:
    # Truth values are compared by identity in Python, as its style guide asks.
    sign = "is" if isinstance(case.expected, bool) else "=="
    return f"{call(exercise, case)} {sign} {case.expected!r}"


def _chosen(forms: Sequence, exercise: Exercise, what: str):
    return forms[int(seeds.hash_share(what, exercise.exercise_id) * len(forms))]


def _function(exercise: Exercise, typed: bool = False, doc: bool = True) -> str:
    header = exercise.header
    if typed:
        kinds = zip(exercise.params, exercise.annotations, strict=True)
        header = f"def {exercise.name}({', '.join(f'{name}: {kind}' for name, kind in kinds)}):"
    lines = [header, *([f'    """{exercise.task}"""'] if doc else []), f"    return {exercise.body}"]
    return "\n".join(lines)


def _snippet_plain(exercise: Exercise) -> str:
    return "\n".join([_function(exercise), "", "", *assertions(exercise), ""])


def _snippet_test(exercise: Exercise) -> str:
    tests = [f"    {line}" for line in assertions(exercise)]
    return "\n".join([_function(exercise), "", "", f"def test_{exercise.name}():", *tests, ""])


def _snippet_typed(exercise: Exercise) -> str:
    return "\n".join([_function(exercise, typed=True), "", "", "# Test cases", *assertions(exercise), ""])


def _snippet_comment(exercise: Exercise) -> str:
    function = _function(exercise, doc=False)
    return "\n".join([f"# Task: {exercise.task}", "", function, "", "", *assertions(exercise), ""])


def _snippet_doctest(exercise: Exercise) -> str:
    shown = [f"    >>> {call(exercise, case)}\n    {case.expected!r}" for case in exercise.cases[-2:]]
    doc = [f'    """{exercise.task}', "", *shown, '    """']
    lines = [exercise.header, *doc, f"    return {exercise.body}", "", "", *assertions(exercise), ""]
    return "\n".join(lines)


def _heading(exercise: Exercise) -> str:
    return exercise.name.replace("_", " ").capitalize()


def _code(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])


def _table(exercise: Exercise) -> str:
    rows = [f"| `{call(exercise, case)}` | `{case.expected!r}` |" for case in exercise.cases[-3:]]
    return "\n".join(["| Call | Result |", "|---|---|", *rows])


def _page_lesson(exercise: Exercise) -> str:
    case = exercise.cases[-1]
    return "\n\n".join(
        [
            f"# {_heading(exercise)}",
            exercise.idea,
            f"Task: {exercise.task}",
            _code(_function(exercise)),
            f"For example, `{call(exercise, case)}` gives `{case.expected!r}`. {exercise.trap}",
            "The tests say the same in a form that can be run:",
            _code(*assertions(exercise)) + "\n",
        ]
    )


def _page_question(exercise: Exercise) -> str:
    return "\n\n".join(
        [
            f"## Exercise: `{exercise.name}`",
            f"**Question.** {exercise.task}",
            f"**Idea.** {exercise.idea}",
            "**Answer.**",
            _code(_function(exercise, doc=False)),
            f"**Watch out.** {exercise.trap}",
            "**Check.**",
            _code(*assertions(exercise)) + "\n",
        ]
    )


def _page_steps(exercise: Exercise) -> str:
    first, second = exercise.cases[-1], exercise.cases[-2]
    given = " and ".join(f"`{name}`" for name in exercise.params)
    return "\n\n".join(
        [
            f"# How to write {exercise.name}",
            f"The function receives {given}. {exercise.task}",
            f"1. {exercise.idea}",
            f"2. {exercise.trap}",
            f"3. Try it: `{call(exercise, first)}` should give `{first.expected!r}`, and `{call(exercise, second)}` "
            f"should give `{second.expected!r}`.",
            _code(_function(exercise, typed=True), "", "", *assertions(exercise)) + "\n",
        ]
    )


def _page_notes(exercise: Exercise) -> str:
    return "\n\n".join(
        [
            f"### {_heading(exercise)}",
            f"{exercise.task} One line of Python is enough: `return {exercise.body}`.",
            exercise.idea,
            _table(exercise),
            _code(_function(exercise), "", "", *assertions(exercise)),
            f"Note. {exercise.trap}\n",
        ]
    )
