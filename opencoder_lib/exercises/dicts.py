"""Families of functions of dictionaries from a name to a whole number."""

from opencoder_lib.exercises.family import NOUNS, Family
from opencoder_lib.exercises.inputs import PEOPLE, table

FAMILIES = (
    Family(
        "get_default",
        "dict",
        ("table",),
        {"s": PEOPLE, "a": tuple(range(2, 100))},
        (
            "Return the value of {s!r} in {p}, or {a} if it is missing.",
            "Look up {s!r} in {p}; without it return {a}.",
            "Get {s!r} from {p}, with {a} as the default.",
        ),
        "{p}.get({s!r}, {a})",
        lambda d, s, a: {s: a, **d}[s],
        lambda random, c: (table(random, keys=(c["s"],)),),
        "Square brackets fail on a key that is not there. The method `get` returns its second argument instead.",
        "The default is returned, not stored: the dictionary stays as it was.",
        lambda c: [({c["s"]: 0},), ({},)],
    ),
    Family(
        "keys_above",
        "dict",
        ("table",),
        {"a": tuple(range(2, 100))},
        (
            "Return the keys of {p} whose value is greater than {a}.",
            "List the keys of {p} with a value above {a}.",
            "Which keys of {p} have more than {a}? Return a list.",
        ),
        "[{i} for {i} in {p} if {p}[{i}] > {a}]",
        lambda d, a: [key for key, value in d.items() if value > a],
        lambda random, c: (table(random, c["a"]),),
        "A loop over a dictionary runs over its keys, in the order in which they were put in. The value is "
        "looked up to be "
        "compared.",
        "The result holds keys, although the question is about values.",
        lambda c: [({"ana": c["a"], "bo": c["a"] + 1},), ({},)],
    ),
    Family(
        "has_key",
        "dict",
        ("table",),
        {"s": (*PEOPLE, *NOUNS)},
        (
            "Tell whether {p} has the key {s!r}.",
            "Return True if {s!r} is a key of {p}.",
            "Is {s!r} in {p}?",
        ),
        "{s!r} in {p}",
        lambda d, s: any(key == s for key in d),
        lambda random, c: (table(random, keys=(c["s"],)),),
        "The word `in` asks a dictionary for a key. It does so without going through all of them.",
        "A key counts whatever its value is, also when that is 0.",
        lambda c: [({c["s"]: 0},), ({},)],
    ),
    Family(
        "total_plus",
        "dict",
        ("table",),
        {"a": tuple(range(2, 100))},
        (
            "Add up the values of {p} and add {a}.",
            "Return the sum of all values in {p}, plus {a}.",
            "Return {a} more than the values of {p} add up to.",
        ),
        "sum({p}.values()) + {a}",
        lambda d, a: sum(d[key] for key in d) + a,
        lambda random, c: (table(random),),
        "The method `values` gives what a dictionary holds without the keys, ready to be added up.",
        "`sum({p})` alone would try to add up the keys, which are texts, and fail.",
        lambda c: [({},), ({"ana": 1},)],
    ),
)
