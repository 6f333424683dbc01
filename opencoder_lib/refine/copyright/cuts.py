"""What to cut from one text so that its head holds no notice any more, and no hole either.

All positions are in characters. A comment that is all notice goes with its lines; of one that says more, whole lines
go, with the empty or drawn lines between what goes and what stays. The marks of a block always stay where they were.
"""

import re
from itertools import pairwise

from opencoder_lib.refine.copyright.heads import Comment, Line, Syntax, head_comments, is_directive
from opencoder_lib.refine.copyright.legal_text import WORD, legal_lines, phrases

# What is cut may bring lines together that make a new notice. People do not write that more than once.
MAX_PASSES = 4
BLANK_LINES = re.compile(r"(?:[ \t]*\r*\n)*")
REST_OF_LINE = re.compile(r"[ \t]*(?:\r*\n|\Z)")
# The start of the text counts as a blank line.
AFTER_BLANK_LINE = re.compile(r"\A\ufeff?[ \t\r\n]*\Z|\n[ \t\r]*\n[ \t]*\Z")
LOOK_BACK = 200
# A line of so many marks frames what it stands above or below.
FRAME = 6

Cut = tuple[int, int]


def notice_cuts(text: str, syntax: Syntax) -> list[Cut]:
    """What to cut, sorted and apart, until no notice is found in what remains; nothing where that has no end."""
    cuts: list[Cut] = []
    for _ in range(MAX_PASSES):
        found = _one_pass(text, syntax)
        if not found:
            return cuts
        known, cuts = sorted(cuts + _in_uncut_text(found, cuts)), []
        for cut in known:
            _join(cuts, cut)
        text = without(text, found)
    return []


def without(text: str, cuts: list[Cut]) -> str:
    """The text without the cuts, which are sorted and apart."""
    ends = [0, *(place for cut in cuts for place in cut), len(text)]
    return "".join(text[a:b] for a, b in zip(ends[::2], ends[1::2], strict=True))


def _in_uncut_text(found: list[Cut], cuts: list[Cut]) -> list[Cut]:
    """Cuts of a text that `cuts` have been taken from, as places in the text before that; they may lie across these."""
    moved, shift, at = [], 0, 0
    for start, end in found:
        while at < len(cuts) and cuts[at][0] - shift <= start:
            shift += cuts[at][1] - cuts[at][0]
            at += 1
        start += shift
        while at < len(cuts) and cuts[at][0] - shift < end:
            shift += cuts[at][1] - cuts[at][0]
            at += 1
        moved.append((start, end + shift))
    return moved


def _join(cuts: list[Cut], cut: Cut) -> None:
    """Add a cut that starts no earlier than the last one; where they touch they become one."""
    if cuts and cut[0] <= cuts[-1][1]:
        cuts[-1] = (cuts[-1][0], max(cut[1], cuts[-1][1]))
    else:
        cuts.append(cut)


def _one_pass(text: str, syntax: Syntax) -> list[Cut]:
    cuts: list[Cut] = []
    for comment in head_comments(text, syntax):
        if not phrases().any_word.search(text, comment.start, comment.end):
            continue
        says = [WORD.search(line.content) is not None for line in comment.lines]
        legal = legal_lines(
            [_arguable(line, text) if said else "" for line, said in zip(comment.lines, says, strict=True)]
        )
        stays = [at for at, said in enumerate(says) if said and not legal[at]]
        if not any(legal):
            continue
        for cut in _partial(comment, text, syntax, legal, stays) if stays else _whole(comment, text, cuts):
            _join(cuts, cut)
    return cuts


def _arguable(line: Line, text: str) -> str:
    """What a line says; nothing if a program reads it, which ends a paragraph."""
    return "" if is_directive().match(text, line.start, min(line.end, line.start + LOOK_BACK)) else line.content


def _whole(comment: Comment, text: str, cuts: list[Cut]) -> list[Cut]:
    """The comment; with its lines and, where they would leave a hole, the blank ones after it."""
    # Where the text that is left in front ends.
    place = cuts[-1][0] if cuts and cuts[-1][1] == (comment.line_start or comment.start) else None
    end = comment.end
    if comment.inner and (rest := REST_OF_LINE.match(text, end)):
        end = rest.end()
    elif comment.inner:
        # Code follows on the same line; without the comment it must not run into what stands before.
        place = comment.start if place is None else place
        apart = not text[max(place - 1, 0) : place].strip() or not text[end : end + 1].strip()
        return [(comment.start, end)] if apart else []
    if comment.line_start is None:
        # Something else stands in front of it, `<?php` perhaps, and keeps its line end.
        return [(comment.start, _without_line_end(text, end))]
    start = comment.line_start
    place = start if place is None else place
    if AFTER_BLANK_LINE.search(text, max(place - LOOK_BACK, 0), place):
        end = BLANK_LINES.match(text, end).end()
    return [(start, end)]


def _partial(comment: Comment, text: str, syntax: Syntax, legal: list[bool], stays: list[int]) -> list[Cut]:
    """The legal lines of a comment in which other lines stay; nothing where the block would not end where it did."""
    cuts = []
    for before, after in pairwise([-1, *stays, len(comment.lines)]):
        gone = [at for at in range(before + 1, after) if legal[at]]
        if gone:
            cuts.append(_between(comment, text, gone, before, after))
    return cuts if _still_closed(comment, text, syntax, cuts) else []


def _between(comment: Comment, text: str, gone: list[int], before: int, after: int) -> Cut:
    """The lines `gone` between the lines `before` and `after` that stay (-1 and the number of lines: none does).

    Empty and drawn lines go along on one side: those behind, so that what is above a notice frames what is below it;
    those in front where nothing stays behind.
    """
    first, last = gone[0], gone[-1]
    if after == len(comment.lines):
        first = before + 1
        framed_below = any(_drawn(line, text) for line in comment.lines[last + 1 :])
        while first < gone[0] and not framed_below and _drawn(comment.lines[first], text):
            first += 1
    elif before < 0 or first > before + 1:
        last = after - 1
    start, end = comment.lines[first].start, comment.lines[last].end
    if comment.inner and first == 0:
        # The opening mark stays on its line.
        start += len(text[start : comment.lines[0].text_start].rstrip())
        end = _without_line_end(text, end)
    elif comment.inner and last == len(comment.lines) - 1:
        end = comment.lines[last].text_start + len(comment.lines[last].content)
    return start, end


def _drawn(line: Line, text: str) -> bool:
    """Whether a line is decoration, not just a mark."""
    return not WORD.search(line.content) and len(text[line.start : line.end].strip()) >= FRAME


def _without_line_end(text: str, end: int) -> int:
    end -= text.endswith("\n", 0, end)
    return end - text.endswith("\r", 0, end)


def _still_closed(comment: Comment, text: str, syntax: Syntax, cuts: list[Cut]) -> bool:
    """Whether a block without the cuts ends with its own closing mark, and not before."""
    start = comment.start
    block = comment.inner and syntax.block_at(text, start)
    if not block:
        return True
    left = without(text[start : comment.end], [(a - start, b - start) for a, b in cuts])
    found = syntax.block_at(left, 0)
    return found is not None and found[0] == block[0] - start and found[2] == len(left)
