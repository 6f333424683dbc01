"""Families of arithmetic on whole numbers."""

from opencoder_lib.exercises.family import SMALL, Family
from opencoder_lib.exercises.inputs import near, number


def _one(random, constants):
    return (number(random),)


def _two(random, constants):
    return number(random), number(random)


FAMILIES = (
    Family(
        "linear",
        "arithmetic",
        ("number",),
        {"a": SMALL, "b": SMALL},
        (
            "Multiply {p} by {a} and add {b}.",
            "Return {a} times {p}, plus {b}.",
            "Take {p} times {a}, then add {b} to it.",
        ),
        "{p} * {a} + {b}",
        lambda n, a, b: b + sum([n] * a),
        _one,
        "A product and a sum can be written in one expression. Python multiplies before it adds, so `{p} * {a}` is "
        "worked out first and {b} is added to the result.",
        "With brackets around the sum, `{p} * ({a} + {b})`, it would be another function.",
        lambda c: [(0,), (1,)],
    ),
    Family(
        "square_plus",
        "arithmetic",
        ("number",),
        {"a": tuple(range(2, 100))},
        (
            "Square {p} and add {a}.",
            "Return the square of {p} plus {a}.",
            "Multiply {p} by itself, then add {a}.",
        ),
        "{p} ** 2 + {a}",
        lambda n, a: n * n + a,
        _one,
        "Two asterisks raise a number to a power, and the second power is the square. Powers bind more tightly than "
        "sums, so {a} is added to the finished square.",
        "Do not read `{p} ** 2` as `{p} * 2`: for 2 both give 4, for 3 they give 9 and 6.",
        lambda c: [(0,), (3,)],
    ),
    Family(
        "remainder",
        "arithmetic",
        ("number",),
        {"a": SMALL, "b": tuple(range(3, 30))},
        (
            "Add {a} to {p} and return the remainder when divided by {b}.",
            "Return the remainder of {p} plus {a} when divided by {b}.",
            "Take {p} plus {a}, modulo {b}.",
        ),
        "({p} + {a}) % {b}",
        lambda n, a, b: n + a - (n + a) // b * b,
        _one,
        "The percent sign gives what is left over by a division. The result runs from 0 to one less than {b} and then "
        "starts again, like the hand of a clock.",
        "The brackets matter: without them only {a} would be divided by {b}, because the remainder binds more tightly "
        "than the sum.",
        lambda c: [(c["a"] * (c["b"] - 1),), (0,)],
        # Adding a multiple of b would not show.
        lambda c: c["a"] % c["b"] != 0,
    ),
    Family(
        "quotient",
        "arithmetic",
        ("number",),
        {"a": SMALL, "b": tuple(range(2, 20))},
        (
            "Add {a} to {p} and divide by {b}, rounding down.",
            "Return {p} plus {a}, divided by {b} and rounded down.",
            "How many times does {b} fit into {p} plus {a}?",
        ),
        "({p} + {a}) // {b}",
        lambda n, a, b: divmod(n + a, b)[0],
        _one,
        "Two slashes divide and round down, so that whole numbers stay whole. With one slash the result would be a "
        "number with a fraction.",
        "The sum stands in brackets, or only {a} would be divided.",
        lambda c: [(c["b"] * 7 - c["a"] % c["b"],), (0,)],
    ),
    Family(
        "weighted_sum",
        "arithmetic",
        ("number", "number"),
        {"a": SMALL, "b": SMALL},
        (
            "Return {a} times {p} plus {b} times {q}.",
            "Add {a} times {p} to {b} times {q}.",
            "Multiply {p} by {a} and {q} by {b}, and return the sum.",
        ),
        "{p} * {a} + {q} * {b}",
        lambda n, m, a, b: sum([n] * a) + sum([m] * b),
        _two,
        "Each of two numbers counts with a weight of its own: {p} with {a}, {q} with {b}. The two products are formed "
        "first and then added.",
        "Swapping the weights goes unnoticed when both numbers are equal, so one test uses different ones.",
        lambda c: [(1, 0), (0, 1)],
        lambda c: c["a"] != c["b"],
    ),
    Family(
        "scaled_difference",
        "arithmetic",
        ("number",),
        {"a": SMALL, "b": SMALL},
        (
            "Subtract {a} from {p} and multiply the result by {b}.",
            "Return the difference of {p} and {a}, times {b}.",
            "Take {a} away from {p}, then multiply by {b}.",
        ),
        "({p} - {a}) * {b}",
        lambda n, a, b: n * b - a * b,
        _one,
        "The difference is wanted before the product, against the order that Python would take by itself. Brackets "
        "around `{p} - {a}` say so.",
        "Without the brackets {a} would be multiplied by {b} and {p} would not.",
        lambda c: [(0,), (c["a"],)],
    ),
    Family(
        "clamp",
        "arithmetic",
        ("number",),
        {"a": SMALL, "b": SMALL},
        (
            "Keep {p} between {a} and {b}.",
            "Return {p}, but at least {a} and at most {b}.",
            "Limit {p} to the range from {a} to {b}.",
        ),
        "max({a}, min({b}, {p}))",
        lambda n, a, b: a if n < a else b if n > b else n,
        lambda random, c: (near(random, c["a"], c["b"]),),
        "The smaller of {p} and {b} is never above {b}; the larger of that and {a} is never below {a}. Two calls, one "
        "inside the other, replace two questions.",
        "It is easy to swap `min` and `max`; a number outside the range shows it.",
        lambda c: [(c["a"] - 1,), (c["b"] + 1,), (c["a"] + 1,)],
        lambda c: c["a"] + 2 < c["b"],
    ),
)
