"""Compiled loops of MinHash: from the bytes of texts to signatures, band keys and shingle sets in one pass.

Axes: N texts, C bytes of all texts end to end, T tokens of a text, S distinct shingles of a text, K hash functions,
B bands. A text's bytes are data[offsets[i] : offsets[i + 1]]. joins (256,): 1 where a byte belongs to a token;
folded (256,): what a byte counts as, itself or its small letter.

A shingle is known by 64 bits. They decide whether two shingles are one; the lower 32 (of our hash, or of SHA-1) go
through the permutations.
"""

import numpy as np

from opencoder_lib.compiled import kernel

# FNV-1a over the bytes of a token, then a polynomial over the tokens of a shingle, then MurmurHash3's last step.
TOKEN_START = np.uint64(0xCBF29CE484222325)
TOKEN_FACTOR = np.uint64(0x00000100000001B3)
SHINGLE_FACTOR = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
MIX32_1, MIX32_2 = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
SALT = np.uint64(0xD6E8FEB86659FD93)
ZERO = np.uint64(0)
ALL_ONES = np.uint32(0xFFFFFFFF)
SHA1_START = np.array([0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0], np.uint32)
SHA1_ADDED = np.array([0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6], np.uint32)
LANES = 16
ONE, TWO, THREE = np.uint64(1), np.uint64(2), np.uint64(3)
# Of a word of a message: what is kept, and the one bit after its end, when it begins beyond the end, at it, or 1, 2, 3
# or more bytes before it.
KEPT = np.array([0, 0, 0xFF000000, 0xFFFF0000, 0xFFFFFF00, 0xFFFFFFFF], np.uint32)
MARK = np.array([0, 0x80000000, 0x800000, 0x8000, 0x80, 0], np.uint32)


@kernel
def mix64(value):
    """MurmurHash3's finaliser: a bijection of 64 bits in which each bit depends on all."""
    value = (value ^ (value >> np.uint64(33))) * MIX_1
    value = (value ^ (value >> np.uint64(33))) * MIX_2
    return value ^ (value >> np.uint64(33))


@kernel
def mix32(value):
    """The same for 32 bits; datasketch's scheme affine32 begins with it."""
    value = np.uint32((value ^ (value >> np.uint32(16))) * MIX32_1)
    value = np.uint32((value ^ (value >> np.uint32(13))) * MIX32_2)
    return np.uint32(value ^ (value >> np.uint32(16)))


@kernel
def _tokens(data, begin, end, joins, folded, hashes, starts, ends):
    """Fill hash, start and end of each token of a text: a longest run of bytes that join. Returns their number."""
    # Two passes: the first has no branch to guess wrong. Each byte writes where the next token may start or this one
    # end, and only a true border moves on. Unsigned places, or numba asks of each whether it counts from the end.
    num_starts, num_ends, was = ZERO, ZERO, np.uint8(0)
    for at in range(np.uint64(begin), np.uint64(end)):
        now = joins[data[at]]
        starts[num_starts], ends[num_ends] = at, at
        num_starts += np.uint64(now & (was ^ 1))
        num_ends += np.uint64(was & (now ^ 1))
        was = now
    ends[num_ends] = end
    for token in range(num_starts):
        value = TOKEN_START
        for at in range(np.uint64(starts[token]), np.uint64(ends[token])):
            value = (value ^ np.uint64(folded[data[at]])) * TOKEN_FACTOR
        hashes[token] = value ^ (value >> np.uint64(32))
    return np.int64(num_starts)


@kernel
def _characters(data, begin, end, folded, hashes, starts, ends):
    """The same where each character is a token: a byte and the continuation bytes of UTF-8 after it."""
    count, at = 0, begin
    while at < end:
        starts[count] = at
        value = TOKEN_START
        while True:
            value = (value ^ np.uint64(folded[data[at]])) * TOKEN_FACTOR
            at += 1
            if at == end or data[at] & 0xC0 != 0x80:
                break
        ends[count] = at
        hashes[count] = value ^ (value >> np.uint64(32))
        count += 1
    return count


@kernel
def table_size(num_shingles):
    """Places in the table of so many shingles: a power of two, at most half full."""
    size = 2
    while size < 2 * num_shingles:
        size *= 2
    return size


@kernel
def _distinct_shingles(hashes, num_tokens, ngram, table, found, first):
    """Fill 64 bits and first token of each distinct shingle. table: a power of two, at least twice the shingles."""
    num_shingles = max(1, num_tokens - ngram + 1) if num_tokens > 0 else 0
    length = min(ngram, num_tokens)
    size = table_size(num_shingles)
    table[:size] = ZERO
    mask, count = np.uint64(size - 1), 0
    for at in range(num_shingles):
        value = ZERO
        for step in range(length):
            value = value * SHINGLE_FACTOR + hashes[at + step]
        value = mix64(value)
        # Zero marks a free place, so it is filed as something else that cannot be told from it in 64 bits.
        filed = value if value != ZERO else SALT
        place = (filed >> np.uint64(32)) & mask
        while table[place] != ZERO and table[place] != filed:
            place = (place + np.uint64(1)) & mask
        if table[place] == ZERO:
            table[place] = filed
            found[count] = value
            first[count] = at
            count += 1
    return count


@kernel
def _join_tokens(data, folded, num_tokens, starts, ends, stream):
    """Write the tokens of a text with one space between them; starts and ends then count in `stream`."""
    out = ZERO
    for token in range(num_tokens):
        begin, end = np.uint64(starts[token]), np.uint64(ends[token])
        starts[token] = out
        for at in range(begin, end):
            stream[out] = folded[data[at]]
            out += ONE
        ends[token] = out
        stream[out] = 32
        out += ONE


@kernel
def _sha1_of_shingles(stream, starts, ends, first, length, values):
    """Fill the first four bytes, little-endian, of SHA-1 of each shingle's bytes.

    LANES shingles at a time, so that each step of the hash is one vector instruction over all of them. A lane that is
    through takes the next shingle at once, so a long shingle keeps no other one waiting.
    """
    schedule, state = np.empty(80 * LANES, np.uint32), np.empty((5, LANES), np.uint32)
    owner, block, num_blocks = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    taken, done = 0, 0
    while done < len(first):
        for lane in range(LANES):
            if block[lane] == num_blocks[lane] and taken < len(first):
                owner[lane], block[lane] = taken, 0
                begin, end = starts[first[taken]], ends[first[taken] + length - 1]
                # The message, a one bit, and its length in 8 bytes.
                num_blocks[lane] = (end - begin + 9 + 63) // 64
                for part in range(5):
                    state[part, lane] = SHA1_START[part]
                taken += 1
            if block[lane] < num_blocks[lane]:
                begin, end = starts[first[owner[lane]]], ends[first[owner[lane]] + length - 1]
                is_last = block[lane] == num_blocks[lane] - 1
                _fill_block(stream, begin, end - begin, block[lane], is_last, schedule, lane)
        _sha1_rounds(schedule, state)
        for lane in range(LANES):
            if block[lane] < num_blocks[lane]:
                block[lane] += 1
                if block[lane] == num_blocks[lane]:
                    values[owner[lane]] = _swapped(state[0, lane])
                    done += 1


@kernel
def _swapped(word):
    """The four bytes of a word in the other order."""
    outer = (word << np.uint32(24)) | (word >> np.uint32(24))
    inner = ((word & np.uint32(0xFF00)) << np.uint32(8)) | ((word >> np.uint32(8)) & np.uint32(0xFF00))
    return np.uint32(outer | inner)


@kernel
def _fill_block(stream, begin, length, block, is_last, schedule, lane):
    """Write the 16 big-endian words of one block of a padded message into a lane of the schedule."""
    for word in range(16):
        left = length - 64 * block - 4 * word
        at = np.uint64(begin + length - left)
        value = (np.uint32(stream[at]) << np.uint32(24)) | (np.uint32(stream[at + ONE]) << np.uint32(16))
        value |= (np.uint32(stream[at + TWO]) << np.uint32(8)) | np.uint32(stream[at + THREE])
        kind = np.uint64(min(max(left, -1), 4) + 1)
        schedule[word * LANES + lane] = (np.uint32(value) & KEPT[kind]) | MARK[kind]
    if is_last:
        num_bits = np.uint64(8 * length)
        schedule[14 * LANES + lane] = np.uint32(num_bits >> np.uint64(32))
        schedule[15 * LANES + lane] = np.uint32(num_bits)


@kernel
def _rotated(value, by):
    return np.uint32((value << np.uint32(by)) | (value >> np.uint32(32 - by)))


@kernel
def _chosen(kind, b, c, d):
    if kind == 0:
        return np.uint32((b & c) | (~b & d))
    if kind == 2:
        return np.uint32((b & c) | (b & d) | (c & d))
    return np.uint32(b ^ c ^ d)


@kernel
def _sha1_rounds(schedule, state):
    """Take one block into the state of each lane (FIPS 180-4, section 6.1.2)."""
    # One flat loop over steps and lanes: LLVM makes vectors of that, and not of a loop within a loop.
    for at in range(16 * LANES, 80 * LANES):
        mixed = schedule[at - 3 * LANES] ^ schedule[at - 8 * LANES]
        schedule[at] = _rotated(mixed ^ schedule[at - 14 * LANES] ^ schedule[at - 16 * LANES], 1)
    before = state.copy()
    for step in range(0, 80, 5):
        kind, added = step // 20, SHA1_ADDED[step // 20]
        # Five steps at a time: the five parts are then back in their places, and stay in registers meanwhile.
        for lane in range(LANES):
            a, b, c, d, e = state[0, lane], state[1, lane], state[2, lane], state[3, lane], state[4, lane]
            for part in range(5):
                chosen = _chosen(kind, b, c, d)
                mixed = np.uint32(_rotated(a, 5) + chosen + e + added + schedule[(step + part) * LANES + lane])
                a, b, c, d, e = mixed, a, _rotated(b, 30), c, d
            state[0, lane], state[1, lane], state[2, lane], state[3, lane], state[4, lane] = a, b, c, d, e
    state += before


@kernel
def _permute(values, multiply, add, signature):
    """Lower each of the K entries of `signature` to the smallest multiply * value + add (mod 2^32) of the values."""
    last = len(values) - 1
    for at in range(0, len(values), 8):
        # Eight at a time: three loads and one store of the K-long arrays then serve eight evaluations. What is missing
        # at the end repeats the last value, which changes no minimum.
        v0, v1 = values[at], values[min(at + 1, last)]
        v2, v3 = values[min(at + 2, last)], values[min(at + 3, last)]
        v4, v5 = values[min(at + 4, last)], values[min(at + 5, last)]
        v6, v7 = values[min(at + 6, last)], values[min(at + 7, last)]
        for k in range(len(signature)):
            a, b = multiply[k], add[k]
            low = min(np.uint32(a * v0 + b), np.uint32(a * v1 + b))
            low = min(low, min(np.uint32(a * v2 + b), np.uint32(a * v3 + b)))
            low = min(low, min(np.uint32(a * v4 + b), np.uint32(a * v5 + b)))
            low = min(low, min(np.uint32(a * v6 + b), np.uint32(a * v7 + b)))
            signature[k] = min(signature[k], low)


@kernel
def fold_bands(signature, keys):
    """Fill the 64-bit key of each band of a signature: equal bands have equal keys, and no band has another's."""
    rows, last = len(signature) // len(keys), len(keys) - 1
    for band in range(0, len(keys), 4):
        # Four at a time: each step waits for the one before in its band, and so four are on their way together. What is
        # missing at the end repeats the last band.
        b0, b1, b2, b3 = band, min(band + 1, last), min(band + 2, last), min(band + 3, last)
        v0, v1, v2, v3 = _folded_start(b0), _folded_start(b1), _folded_start(b2), _folded_start(b3)
        for at in range(rows):
            v0 = _folded(v0, signature[b0 * rows + at])
            v1 = _folded(v1, signature[b1 * rows + at])
            v2 = _folded(v2, signature[b2 * rows + at])
            v3 = _folded(v3, signature[b3 * rows + at])
        keys[b0], keys[b1], keys[b2], keys[b3] = mix64(v0), mix64(v1), mix64(v2), mix64(v3)


@kernel
def _folded_start(band):
    return np.uint64(band + 1) * SALT


@kernel
def _folded(value, entry):
    value = (value ^ np.uint64(entry)) * SHINGLE_FACTOR
    return value ^ (value >> np.uint64(29))


@kernel
def sketch_texts(
    data, offsets, joins, folded, by_character, ngram, use_sha1, multiply, add, counts, sets, keys, signatures
):
    """Fill, for each text, the number of its distinct shingles, the hash of their set, its band keys and signature.

    counts (N,) int64; sets (N, 2) uint64; keys (N, B) uint64; signatures (N, K) uint32, or (0, K) when nobody wants
    them. A text without a shingle has a signature of all ones.
    """
    num_texts, num_hashes = len(offsets) - 1, len(multiply)
    longest = 0
    for text in range(num_texts):
        longest = max(longest, offsets[text + 1] - offsets[text])
    room = longest + 1 if by_character else longest // 2 + 1
    hashes, found = np.empty(room, np.uint64), np.empty(room, np.uint64)
    starts, ends, first = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    table, values = np.empty(table_size(room), np.uint64), np.empty(room, np.uint32)
    # A block of SHA-1 is read whole, up to 72 bytes beyond its message, and what is beyond is masked.
    stream = np.empty(2 * longest + 130 if use_sha1 else 0, np.uint8)
    own = np.empty(num_hashes, np.uint32)
    for text in range(num_texts):
        begin, end = offsets[text], offsets[text + 1]
        if by_character:
            num_tokens = _characters(data, begin, end, folded, hashes, starts, ends)
        else:
            num_tokens = _tokens(data, begin, end, joins, folded, hashes, starts, ends)
        count = _distinct_shingles(hashes, num_tokens, ngram, table, found, first)
        counts[text] = count
        one, other = ZERO, ZERO
        for at in range(count):
            # Sums do not depend on the order; two independent ones make 128 bits.
            one += found[at]
            other += mix64(found[at] ^ SALT)
        sets[text, 0], sets[text, 1] = one, mix64(other + np.uint64(count))
        if use_sha1:
            length = min(ngram, num_tokens)
            _join_tokens(data, folded, num_tokens, starts, ends, stream)
            _sha1_of_shingles(stream, starts, ends, first[:count], length, values)
        else:
            for at in range(count):
                values[at] = np.uint32(found[at])
        for at in range(count):
            values[at] = mix32(values[at])
        signature = signatures[text] if len(signatures) else own
        signature[:] = ALL_ONES
        if count:
            _permute(values[:count], multiply, add, signature)
        fold_bands(signature, keys[text])


@kernel
def shingle_sets_of(data, offsets, joins, folded, by_character, ngram):
    """64 bits of the distinct shingles of all texts, ascending within each, and (N + 1,) where each text's begin."""
    longest, num_texts = 0, len(offsets) - 1
    for text in range(num_texts):
        longest = max(longest, offsets[text + 1] - offsets[text])
    room = longest + 1 if by_character else longest // 2 + 1
    hashes, found = np.empty(room, np.uint64), np.empty(room, np.uint64)
    starts, ends, first = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    table = np.empty(table_size(room), np.uint64)
    bounds, values = np.zeros(num_texts + 1, np.int64), np.empty(1024, np.uint64)
    for text in range(num_texts):
        begin, end = offsets[text], offsets[text + 1]
        if by_character:
            num_tokens = _characters(data, begin, end, folded, hashes, starts, ends)
        else:
            num_tokens = _tokens(data, begin, end, joins, folded, hashes, starts, ends)
        count = _distinct_shingles(hashes, num_tokens, ngram, table, found, first)
        found[:count].sort()
        start = bounds[text]
        if start + count > len(values):
            grown = np.empty(2 * (start + count), np.uint64)
            grown[:start] = values[:start]
            values = grown
        values[start : start + count] = found[:count]
        bounds[text + 1] = start + count
    return values[: bounds[num_texts]].copy(), bounds


@kernel
def count_shared(values, bounds, left, right):
    """(P,) how many numbers each pair of ascending sets has in common; set i is values[bounds[i] : bounds[i + 1]]."""
    shared = np.zeros(len(left), np.int64)
    for pair in range(len(left)):
        one, one_end = bounds[left[pair]], bounds[left[pair] + 1]
        other, other_end = bounds[right[pair]], bounds[right[pair] + 1]
        while one < one_end and other < other_end:
            if values[one] == values[other]:
                shared[pair] += 1
                one += 1
                other += 1
            elif values[one] < values[other]:
                one += 1
            else:
                other += 1
    return shared


@kernel
def fold_all(signatures, keys):
    """Fill the band keys (N, B) of signatures (N, K)."""
    for row in range(len(signatures)):
        fold_bands(signatures[row], keys[row])
