"""Clean, varied source text of our own making, for planting: Python, JavaScript, C, Markdown.

No two modules share more than a few word 5-grams, each parses, and each is ordinary enough to pass every filter:
functions with bodies, variables, few imports, few literals. It means nothing; only its statistics are those of code.
"""

import tomllib
from collections.abc import Callable
from importlib.resources import files as package_files

from numpy.random import Generator

_WORDS = tomllib.loads((package_files("opencoder_lib.corpora") / "words.toml").read_text(encoding="utf-8"))
NOUNS, ADJECTIVES, VERBS = (_WORDS[kind].split() for kind in ("nouns", "adjectives", "verbs"))
MODULES = ("collections", "functools", "heapq", "itertools", "json", "math", "operator", "random", "statistics", "time")


class Words:
    """Random names and phrases from one generator."""

    def __init__(self, rng: Generator):
        self.rng = rng

    def pick(self, words: list[str]) -> str:
        """One of the words."""
        return words[int(self.rng.integers(len(words)))]

    def number(self, low: int = 2, high: int = 90) -> int:
        """A whole number from `low` to `high`."""
        return int(self.rng.integers(low, high + 1))

    def snake(self) -> str:
        """A name such as steady_harbour_quota."""
        return f"{self.pick(ADJECTIVES)}_{self.pick(NOUNS)}_{self.pick(NOUNS)}"

    def action(self) -> str:
        """A name such as settle_remote_tariff."""
        return f"{self.pick(VERBS)}_{self.pick(ADJECTIVES)}_{self.pick(NOUNS)}"

    def camel(self) -> str:
        """A name such as steadyHarbourQuota."""
        first, *rest = self.snake().split("_")
        return first + "".join(word.capitalize() for word in rest)

    def sentence(self) -> str:
        """A sentence about nothing in particular."""
        forms = (
            "{V} the {a} {n} before some {o} can {v} the {b} {m}.",
            "Each {a} {n} keeps its {m} until some {o} can {v} it.",
            "The {n} of a {b} {m} may {v} one {o} at a time.",
            "Without a {a} {m}, every {n} would {v} the {b} {o} twice.",
            "A {n} and a {m} {v} together when the {o} turns {b}.",
            "{V} {a} {n}s first, then {v} whatever {m} the {b} {o} left.",
        )
        return self.pick(list(forms)).format(
            V=self.pick(VERBS).capitalize(),
            v=self.pick(VERBS),
            a=self.pick(ADJECTIVES),
            b=self.pick(ADJECTIVES),
            n=self.pick(NOUNS),
            m=self.pick(NOUNS),
            o=self.pick(NOUNS),
        )


def python_module(rng: Generator, num_functions: int = 4) -> str:
    """A Python module: docstring, two imports, two constants, functions of about ten lines."""
    words = Words(rng)
    first, second = rng.choice(len(MODULES), 2, replace=False)
    head = [
        f'"""{words.sentence()}"""',
        "",
        f"import {MODULES[first]}",
        f"import {MODULES[second]}",
        "",
        f"{words.snake().upper()} = {words.number()}",
        f"{words.snake().upper()} = {words.number(100, 900)}",
    ]
    return "\n".join(head) + "\n\n\n" + "\n\n".join(_python_function(words) for _ in range(num_functions))


def _python_function(words: Words) -> str:
    result, source = words.snake(), words.snake()
    item, field, other = words.pick(NOUNS), words.snake(), words.snake()
    steps = [
        f"for {item} in {source}:\n    if {item}.{field} > {words.number()}:\n        "
        f"{result} += {item}.{words.snake()} * {words.number()}",
        f"{other} = [{item}.{field} for {item} in {source} if {item}.{words.snake()}]\n{result} += len({other})",
        f"{other} = sorted({source}, key=lambda {item}: {item}.{field})\nif {other}:\n    "
        f"{result} -= {other}[0].{words.snake()}",
        f"while {result} > {other}:\n    {result} //= {words.number(2, 9)}\n    # {words.sentence()}\n    "
        f"{other} += {words.number()}",
        f"for {words.snake()}, {item} in enumerate({source}):\n    {field} = {item}.{words.snake()} % "
        f"{words.number()}\n    {result} = max({result}, {field})",
        f"try:\n    {field} = {source}[{words.number()}].{words.snake()}\nexcept IndexError:\n"
        f"    {field} = {other}\n{result} += {field}",
        f"{field} = {{{item}.{words.snake()}: {item} for {item} in {source}}}\n"
        f"{result} += {field}.get({other}, {words.number()})",
    ]
    chosen = words.rng.choice(len(steps), 3, replace=False)
    body = [f'"""{words.sentence()}"""', f"{result} = {words.number()}", *(steps[step] for step in chosen)]
    lines = "\n".join(body).splitlines()
    head = f"def {words.action()}({source}, {other}):"
    return "\n".join([head, *("    " + line for line in lines), f"    return {result}"]) + "\n"


def javascript_module(rng: Generator, num_functions: int = 4) -> str:
    """A JavaScript module of named functions in the 2015 language."""
    words = Words(rng)
    head = [f"// {words.sentence()}", '"use strict";', "", f"const {words.camel()} = {words.number()};", ""]
    return "\n".join(head) + "\n" + "\n".join(_javascript_function(words) for _ in range(num_functions))


def _javascript_function(words: Words) -> str:
    result, source, item, field, other = words.camel(), words.camel(), words.pick(NOUNS), words.camel(), words.camel()
    steps = [
        f"for (const {item} of {source}) {{\n  if ({item}.{field} > {words.number()}) {{\n    "
        f"{result} += {item}.{words.camel()};\n  }}\n}}",
        f"{source}.forEach(({item}) => {{\n  {result} -= {item}.{field} % {words.number()};\n"
        f"  {other}.push({item}.{words.camel()});\n}});",
        f"while ({result} > {words.number()}) {{\n  // {words.sentence()}\n  {result} /= {other}.{field};\n}}",
        f"if ({other}.{field} === {words.number()}) {{\n  {result} = {other}.{words.camel()} + {words.number()};\n"
        f"}} else {{\n  {source}.sort();\n}}",
        f"for (let {field} = 0; {field} < {source}.length; {field} += {words.number()}) {{\n"
        f"  {result} = Math.max({result}, {source}[{field}].{words.camel()});\n}}",
    ]
    chosen = words.rng.choice(len(steps), 3, replace=False)
    lines = "\n".join(steps[step] for step in chosen).splitlines()
    head = [
        f"// {words.sentence()}",
        f"function {words.camel()}({source}, {other}) {{",
        f"  let {result} = {words.number()};",
    ]
    return "\n".join([*head, *("  " + line for line in lines), f"  return {result};", "}"]) + "\n"


def c_module(rng: Generator, num_functions: int = 4) -> str:
    """A C source file: includes, a record, functions with loops."""
    words = Words(rng)
    record, fields = words.snake(), [words.snake() for _ in range(5)]
    head = [
        f"/* {words.sentence()} */",
        "#include <stddef.h>",
        "",
        f"struct {record} {{",
        *(f"    long {field};" for field in fields),
        "};",
        "",
    ]
    return "\n".join(head) + "\n" + "\n".join(_c_function(words, record, fields) for _ in range(num_functions))


def _c_function(words: Words, record: str, fields: list[str]) -> str:
    result, source, other, place = words.snake(), words.snake(), words.snake(), words.pick(NOUNS)
    field, second = words.pick(fields), words.pick(fields)
    steps = [
        f"for (size_t {place} = 0; {place} < {other}; {place}++) {{\n    if ({source}[{place}].{field} > "
        f"{words.number()}) {{\n        {result} += {source}[{place}].{second} * {words.number()};\n    }}\n}}",
        f"while ({result} > {words.number(100, 900)}) {{\n    /* {words.sentence()} */\n"
        f"    {result} -= {source}->{field} / {words.number()};\n}}",
        f"if ({source}->{field} < {source}->{second}) {{\n    {source}->{field} += {words.number()};\n"
        f"    {result} ^= {source}->{second};\n}}",
        f"switch ({source}->{second} % {words.number(3, 9)}) {{\ncase {words.number(0, 2)}:\n"
        f"    {result} <<= 1;\n    break;\ndefault:\n    {source}->{field} = {result} + {words.number()};\n}}",
    ]
    chosen = words.rng.choice(len(steps), 3, replace=False)
    lines = "\n".join(steps[step] for step in chosen).splitlines()
    head = [
        f"/* {words.sentence()} */",
        f"long {words.action()}(struct {record} *{source}, size_t {other})",
        "{",
        f"    long {result} = {words.number()};",
    ]
    return "\n".join([*head, *("    " + line for line in lines), f"    return {result};", "}"]) + "\n"


def markdown_page(rng: Generator, num_sections: int = 4) -> str:
    """A page of Markdown with headings and paragraphs."""
    words = Words(rng)
    parts = [f"# {words.snake().replace('_', ' ').capitalize()}", words.sentence()]
    for _ in range(num_sections):
        parts += [f"## {words.action().replace('_', ' ').capitalize()}"]
        parts += ["\n".join(words.sentence() for _ in range(3)) for _ in range(2)]
    return "\n\n".join(parts) + "\n"


LANGUAGES: dict[str, Callable[[Generator, int], str]] = {"py": python_module, "js": javascript_module, "c": c_module}
