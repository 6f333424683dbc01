"""The comments of a YAML file: where `#` opens one depends on the indentation and on what the lines above began.

A comment line inside a block scalar, or indented deeper than a plain scalar that may go on, is text, as in the lexer of
the official pipeline. Places are bytes of UTF-8; `indents` is a stack of the columns of the open blocks.
"""

import numpy as np

from opencoder_lib.compiled import kernel
from opencoder_lib.syntax.scan_steps import grown, line_end

NEWLINE, SPACE, TAB, HASH, COLON, MINUS, QUESTION, DOT = 10, 32, 9, 35, 58, 45, 63, 46
QUOTE, APOSTROPHE, BACKSLASH, PERCENT, BAR, GREATER = 34, 39, 92, 37, 124, 62
OPEN, CLOSE, BRACE, CLOSE_BRACE = 91, 93, 123, 125


def _set_of(marks: bytes) -> np.ndarray:
    table = np.zeros(256, np.bool_)
    table[list(marks)] = True
    return table


NOT_IN_KEY = _set_of(b"#,?[]{}\"'\n")
NOT_IN_FLOW_KEY = _set_of(b",:?[]{}\"'\n")
ENDS_FLOW_SCALAR = _set_of(b",:?[]{}")
STARTS_NO_SCALAR = _set_of(b" \t\n\v\f\r?:,[]{}#&*!|>'\"%@`-")


@kernel
def blank_after(data, i):
    """Whether a space or a line end follows the byte at i."""
    return i + 1 >= len(data) or data[i + 1] == SPACE or data[i + 1] == NEWLINE


@kernel
def past_blanks(data, i):
    """The first place from i on that is no space."""
    while i < len(data) and data[i] == SPACE:
        i += 1
    return i


@kernel
def is_marker(data, i):
    """Whether `---` or `...` stands at i."""
    return (
        i + 2 < len(data) and (data[i] == MINUS or data[i] == DOT) and data[i + 1] == data[i] and data[i + 2] == data[i]
    )


@kernel
def key_end(data, i):
    """After the last colon of the block key that starts at i, or -1 if none starts there; and how far it looked."""
    end, j = -1, i
    while j < len(data) and not NOT_IN_KEY[data[j]]:
        if data[j] == COLON and j > i and blank_after(data, j):
            end = j + 1
        j += 1
    return end, j


@kernel
def flow_key_end(data, i):
    """After the colon of the flow mapping's key that starts at i, or -1 if none starts there; and how far it looked."""
    j = i
    while j < len(data) and not NOT_IN_FLOW_KEY[data[j]]:
        j += 1
    found = j > i and j < len(data) and data[j] == COLON and blank_after(data, j)
    return (j + 1 if found else -1), j


@kernel
def quoted_end(data, i):
    """After the close of the quoted scalar that opens at i, or the end of the file."""
    quote = data[i]
    i += 1
    while i < len(data):
        if data[i] == quote:
            if quote == QUOTE or i + 1 >= len(data) or data[i + 1] != quote:
                return i + 1
            i += 1
        elif data[i] == BACKSLASH and quote == QUOTE:
            i += 1
        i += 1
    return min(i, len(data))


@kernel
def block_scalar_end(data, i, indent, increment):
    """Where the block scalar ends whose first line starts at i: at a line that is indented too little."""
    needed = max(indent, 0) + increment if increment else -1
    while i < len(data):
        j = past_blanks(data, i)
        if j < len(data) and data[j] != NEWLINE:
            if needed < 0 and j - i > max(indent, 0):
                needed = j - i
            elif needed < 0 or j - i < needed:
                return i
        i = line_end(data, j, len(data), False) + 1
    return len(data)


@kernel
def plain_end(data, i, indent):
    """Where the plain scalar that starts at i ends: before a comment or a colon in its line, else at a line start."""
    while i < len(data):
        byte = data[i]
        if byte == COLON and blank_after(data, i):
            return i
        if byte == SPACE:
            j = past_blanks(data, i)
            if j < len(data) and data[j] == HASH:
                return j
            i = j
        elif byte == NEWLINE:
            line = j = i + 1
            while j < len(data) and (data[j] == SPACE or data[j] == NEWLINE):
                j += 1
                line = j if data[j - 1] == NEWLINE else line
            if is_marker(data, line) or j - line <= indent:
                return line
            # A comment mark that starts this line is text.
            i = j + (j < len(data) and data[j] == HASH)
        else:
            i += 1
    return len(data)


@kernel
def flow_plain_end(data, i):
    """Where the plain scalar of a flow collection that starts at i ends."""
    while i < len(data) and not ENDS_FLOW_SCALAR[data[i]]:
        if data[i] == SPACE:
            i = past_blanks(data, i)
            if i < len(data) and data[i] == HASH:
                return i
        else:
            i += 1
    return i


@kernel
def scan_yaml(data):
    """The comments of a YAML file: their starts and ends in turn, ascending, as places in `data`."""
    spans, n_spans = np.zeros(128, np.int64), 0
    indents, depth = np.zeros(32, np.int64), 0
    flows, n_flows = np.zeros(32, np.uint8), 0
    n, i, indent, column = len(data), np.int64(0), np.int64(-1), np.int64(0)
    in_line, at_start = False, False
    # Where a key was looked for and not found: none starts before these places.
    no_key = no_flow_key = np.int64(0)
    while i < n:
        byte = data[i]
        if n_spans == len(spans):
            spans = grown(spans)
        if depth == len(indents):
            indents = grown(indents)
        if n_flows == len(flows):
            flows = grown(flows)
        if n_flows:
            end = -1
            if flows[n_flows - 1] == BRACE and i >= no_flow_key:
                end, no_flow_key = flow_key_end(data, i)
            if end >= 0:
                i = end
            elif byte == HASH:
                end = line_end(data, i, n, False)
                spans[n_spans], spans[n_spans + 1], n_spans, i = i, end, n_spans + 2, end
            elif byte in (OPEN, BRACE):
                flows[n_flows], n_flows, i = byte, n_flows + 1, i + 1
            elif (byte == CLOSE and flows[n_flows - 1] == OPEN) or (
                byte == CLOSE_BRACE and flows[n_flows - 1] == BRACE
            ):
                n_flows, i = n_flows - 1, i + 1
            elif byte in (QUOTE, APOSTROPHE):
                i = quoted_end(data, i)
            elif STARTS_NO_SCALAR[byte] and byte != MINUS:
                i += 1
            else:
                i = flow_plain_end(data, i)
        elif not in_line:
            # Between lines: blanks, comments, markers; then the columns of the blocks that a line opens.
            j = past_blanks(data, i)
            if j < n and data[j] == HASH:
                end = line_end(data, j, n, False)
                spans[n_spans], spans[n_spans + 1], n_spans, i = j, end, n_spans + 2, end
            elif j >= n or data[j] == NEWLINE:
                i = j + 1
            elif (i == 0 or data[i - 1] == NEWLINE) and is_marker(data, i) and blank_after(data, i + 2):
                indent, depth, column, in_line, at_start, i = -1, 0, 0, True, False, i + 3
            else:
                column = j - i
                while column < indent:
                    depth -= 1
                    indent = indents[depth]
                in_line, at_start, i = True, True, j
        elif at_start and (byte in (MINUS, QUESTION, COLON)) and blank_after(data, i):
            if indent < column:
                indents[depth], depth, indent = indent, depth + 1, column
            j = past_blanks(data, i + 1)
            column, i = column + j - i, j
        else:
            at_start = False
            j = past_blanks(data, i)
            end = -1
            if i >= no_key:
                end, no_key = key_end(data, i)
            if j >= n or data[j] == HASH or data[j] == NEWLINE:
                in_line, i = False, j
            elif byte == SPACE:
                i = j
            elif end >= 0 or (byte == COLON and blank_after(data, i)):
                if indent < column:
                    indents[depth], depth, indent = indent, depth + 1, column
                i = max(end, i + 1)
            elif byte in (OPEN, BRACE):
                flows[n_flows], n_flows, i = byte, n_flows + 1, i + 1
            elif byte in (QUOTE, APOSTROPHE):
                i = quoted_end(data, i)
            elif byte in (BAR, GREATER):
                increment, j = 0, i + 1
                while j < n and (48 < data[j] < 58 or data[j] == MINUS or data[j] == 43):
                    increment = data[j] - 48 if data[j] > 48 else increment
                    j += 1
                j = past_blanks(data, j)
                end = line_end(data, j, n, False)
                if j < n and data[j] == HASH:
                    spans[n_spans], spans[n_spans + 1], n_spans = j, end, n_spans + 2
                i, in_line = block_scalar_end(data, end + 1, indent, increment), False
            elif not STARTS_NO_SCALAR[byte] or (
                (byte in (MINUS, QUESTION, COLON)) and i + 1 < n and data[i + 1] > SPACE
            ):
                i = plain_end(data, i, indent)
                in_line = i < n and i > 0 and data[i - 1] != NEWLINE
            else:
                i += 1
    return spans[:n_spans]
