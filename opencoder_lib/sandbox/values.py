"""Plain values as JSON and back, with their exact types. Imported by the process that runs programs: nothing of ours.

Only plain values cross the border between a program and the one who judges it. No object of the program's own is ever
compared, so none can claim to be equal to everything.
"""

from typing import Any

MAX_DEPTH = 20
# An item costs one, ten characters of a text or digits of a number one more.
MAX_COST = 10_000
MAX_BITS = 4_000
SEQUENCES = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


class NotPlain(Exception):
    """The value, or one inside it, is of another type than those that may cross."""


class TooLarge(Exception):
    """The value is nested too deeply, holds too much, or has too many digits."""


def pack(value: Any, left: list[int] | None = None) -> Any:
    """What JSON holds of a value: texts, truth values and null as they are, the rest as a pair of type and content.

    left: what the value may cost, as its only item; it is reduced, so that several values can share it. Raises NotPlain
    or TooLarge.
    """
    return _pack(value, [MAX_COST] if left is None else left, 0)


def _pack(value: Any, left: list[int], depth: int) -> Any:
    kind = type(value)
    left[0] -= 1 + (len(value) // 10 if kind is str else 0)
    if left[0] < 0 or depth > MAX_DEPTH:
        raise TooLarge
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        if value.bit_length() > MAX_BITS:
            raise TooLarge
        digits = str(value)
        left[0] -= len(digits) // 10
        return ["int", digits]
    if kind is float:
        return ["float", repr(value)]
    if kind is dict:
        pairs = [[_pack(key, left, depth + 1), _pack(item, left, depth + 1)] for key, item in value.items()]
        return ["dict", pairs]
    if SEQUENCES.get(kind.__name__) is kind:
        return [kind.__name__, [_pack(item, left, depth + 1) for item in value]]
    raise NotPlain(kind.__name__)


def unpack(packed: Any) -> Any:
    """The value that `pack` packed. Raises NotPlain on anything that it cannot have written."""
    if packed is None or isinstance(packed, (bool, str)):
        return packed
    match packed:
        case ["int", str(digits)]:
            return int(digits)
        case ["float", str(digits)]:
            return float(digits)
        case ["dict", list(pairs)]:
            return {unpack(key): unpack(value) for key, value in pairs}
        case [str(kind), list(items)] if kind in SEQUENCES:
            return SEQUENCES[kind](unpack(item) for item in items)
    raise NotPlain(str(packed)[:40])
