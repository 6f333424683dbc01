"""Families of functions of texts."""

from opencoder_lib.exercises.family import LETTERS, NOUNS, Family
from opencoder_lib.exercises.inputs import letters, text

FAMILIES = (
    Family(
        "suffix",
        "string",
        ("text",),
        {"s": NOUNS},
        (
            "Add {s!r} to the end of {p}.",
            "Return {p} followed by {s!r}.",
            "Append {s!r} to {p}.",
        ),
        "{p} + {s!r}",
        lambda t, s: "".join([t, s]),
        lambda random, c: (text(random),),
        "A plus sign between two texts puts them one after the other. The texts themselves stay as they are; "
        "the result "
        "is a new one.",
        "No space is put between the two: if one is wanted it must be part of a text.",
        lambda c: [("",)],
    ),
    Family(
        "prefix_upper",
        "string",
        ("text",),
        {"s": NOUNS},
        (
            "Put {s!r} before {p} in capital letters.",
            "Return {s!r} followed by {p} in upper case.",
            "Change {p} to upper case and put {s!r} in front of it.",
        ),
        "{s!r} + {p}.upper()",
        lambda t, s: s + "".join(chr(ord(c) - 32) if "a" <= c <= "z" else c for c in t),
        lambda random, c: (text(random),),
        "The method `upper` gives a copy of a text in capital letters. It is called on {p} only, so {s!r} "
        "keeps its small "
        "letters.",
        "A method of a text never changes the text, it returns another one.",
        lambda c: [("",)],
    ),
    Family(
        "replace",
        "string",
        ("text",),
        {"s": LETTERS, "t": LETTERS},
        (
            "Replace every {s!r} in {p} by {t!r}.",
            "Return {p} with each {s!r} changed to {t!r}.",
            "Change all letters {s!r} of {p} to {t!r}.",
        ),
        "{p}.replace({s!r}, {t!r})",
        lambda x, s, t: "".join(t if c == s else c for c in x),
        lambda random, c: (text(random, c["s"]),),
        "The method `replace` goes through a text from left to right and puts {t!r} wherever it finds {s!r}. A text "
        "without any {s!r} comes back as it was.",
        "What is looked for comes first, what takes its place second.",
        lambda c: [(c["s"] + "-" + c["t"],)],
        lambda c: c["s"] != c["t"],
    ),
    Family(
        "count_letter",
        "string",
        ("text",),
        {"s": LETTERS},
        (
            "Count how often {s!r} occurs in {p}.",
            "Return the number of times {s!r} appears in {p}.",
            "How many letters {s!r} does {p} have?",
        ),
        "{p}.count({s!r})",
        lambda t, s: sum(c == s for c in t),
        lambda random, c: (text(random, c["s"]),),
        "The method `count` says how often one text occurs in another. Zero is an answer like any other.",
        "Capital letters are other letters: they are not counted.",
        lambda c: [(c["s"] * 3 + "-",), ("",)],
    ),
    Family(
        "slice",
        "string",
        ("text",),
        {"a": tuple(range(1, 9)), "b": tuple(range(2, 12))},
        (
            "Return the letters of {p} from position {a} up to {b}.",
            "Cut out of {p} what lies from {a} up to {b}.",
            "Return the slice of {p} that starts at {a} and stops before {b}.",
        ),
        "{p}[{a}:{b}]",
        lambda t, a, b: "".join(c for at, c in enumerate(t) if a <= at < b),
        lambda random, c: (letters(random, c["a"], c["b"] + 6),),
        "Positions are counted from 0, and the end of a slice does not belong to it. So the slice from {a} to "
        "{b} has at "
        "most {b} minus {a} letters.",
        "A text that is too short is no error for a slice: it gives what there is.",
        lambda c: [("abcdefghijklmnop",), ("ab",)],
        lambda c: c["a"] < c["b"],
    ),
    Family(
        "starts_with",
        "string",
        ("text",),
        {"s": NOUNS},
        (
            "Tell whether {p} starts with {s!r}.",
            "Return True if {p} begins with {s!r}.",
            "Does {p} begin with {s!r}?",
        ),
        "{p}.startswith({s!r})",
        lambda t, s: t[: len(s)] == s,
        lambda random, c: (text(random, c["s"]),),
        "The method `startswith` compares the first letters of a text with another text. Its name is written "
        "as one word.",
        "A text that merely contains {s!r} further on does not count.",
        lambda c: [(c["s"] + "s",), ("a " + c["s"],), (c["s"][:-1],)],
    ),
    Family(
        "ends_with",
        "string",
        ("text",),
        {"s": NOUNS},
        (
            "Tell whether {p} ends with {s!r}.",
            "Return True if the end of {p} is {s!r}.",
            "Does {p} end with {s!r}?",
        ),
        "{p}.endswith({s!r})",
        lambda t, s: t[-len(s) :] == s,
        lambda random, c: (text(random, c["s"]),),
        "The method `endswith` compares the last letters of a text with another text. It is the twin of `startswith`.",
        "A text that merely contains {s!r} earlier on does not count.",
        lambda c: [("a " + c["s"],), (c["s"] + "s",), (c["s"][1:],)],
    ),
    Family(
        "reversed_suffix",
        "string",
        ("text",),
        {"s": NOUNS},
        (
            "Reverse {p} and add {s!r}.",
            "Return {p} backwards, followed by {s!r}.",
            "Turn {p} around and append {s!r}.",
        ),
        "{p}[::-1] + {s!r}",
        lambda t, s: "".join(reversed(t)) + s,
        lambda random, c: (text(random),),
        "A slice with the step -1 runs through a text from its end to its start. What is added afterwards is "
        "not turned "
        "around.",
        "`reversed` gives no text but something to loop over, which is why the slice is used.",
        lambda c: [("ab",)],
    ),
)
