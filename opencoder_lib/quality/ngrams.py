"""What words repeat: distinct words, their entropy, and every run of 2 to 10 words, counted in one pass a text.

Equal words of a text get equal small numbers. A run of n words is then the pair (number of its first n-1 words, number
of its last word), which fits 64 bits, so runs are counted without a hash of their own and without collisions. Only a
run whose two shorter runs both repeat can repeat: each step looks at what the step before left over, which in most
files is little. Words are told apart by 64 bits of hash.
"""

import numpy as np

from opencoder_lib.compiled import kernel

LONGEST = 10
TOP, DUPE = (2, 3, 4), (5, 6, 7, 8, 9, 10)
NUM_CHARS, DISTINCT, ENTROPY, FIRST_GRAM = 0, 1, 2, 3
NUM_COLUMNS = FIRST_GRAM + LONGEST - 1


def column(n: int) -> int:
    """The column of the statistics that holds the runs of `n` words."""
    return FIRST_GRAM + n - 2


@kernel
def _emptied(slots, num):
    """Empty as much of the hash table as `num` entries need, and return its mask: what is small stays in the cache."""
    mask = 15
    while mask < 2 * num:
        mask = 2 * mask + 1
    slots[: mask + 1] = -1
    return mask


@kernel
def _table_for(num):
    """A hash table large enough for `num` entries."""
    size = 16
    while size <= 2 * num:
        size *= 2
    return np.empty(size, np.int32)


@kernel
def _number(key, slots, mask, keys, fresh):
    """The number under which `key` is known; `fresh`, its number from now on, if it is not.

    slots: numbers at the places that keys hash to, -1 where free; keys: the key of each number.
    """
    at = np.int64((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask
    while slots[at] >= 0:
        if keys[slots[at]] == key:
            return slots[at]
        at = (at + 1) & mask
    slots[at], keys[fresh] = fresh, key
    return fresh


@kernel
def _most(offsets):
    """The largest number of items that a text has."""
    most = 0
    for i in range(len(offsets) - 1):
        most = max(most, offsets[i + 1] - offsets[i])
    return most


@kernel
def repeated(hashes, offsets):
    """Which items occur more than once in their text (one boolean an item)."""
    result = np.zeros(len(hashes), np.bool_)
    most = _most(offsets)
    slots, keys, first = _table_for(most), np.empty(most, np.uint64), np.empty(most, np.int64)
    for i in range(len(offsets) - 1):
        mask, distinct = _emptied(slots, offsets[i + 1] - offsets[i]), 0
        for k in range(offsets[i], offsets[i + 1]):
            number = _number(hashes[k], slots, mask, keys, np.int32(distinct))
            if number == distinct:
                first[number] = k
                distinct += 1
            else:
                result[k] = result[first[number]] = True
    return result


@kernel
def _top(count, first, lengths, n):
    """Characters of the most frequent run times how often it occurs; the first wins a tie; 0 if none occurs twice."""
    best = 0
    for gram in range(len(count)):
        if count[gram] > count[best]:
            best = gram
    if not len(count) or count[best] < 2:
        return 0
    length = 0
    for k in range(first[best], first[best] + n):
        length += lengths[k]
    return length * count[best]


@kernel
def _covered(places, lengths, n):
    """Characters of the words that lie in a run of n words which begins at one of `places` (ascending), each once."""
    total = covered = 0
    for place in places:
        for k in range(max(covered, place), place + n):
            total += lengths[k]
        covered = place + n
    return total


@kernel
def word_statistics(hashes, lengths, offsets):
    """What repeats in each text: (texts, NUM_COLUMNS) floats.

    hashes: 64 bits a word; lengths: characters a word; offsets: where the words of each text begin. Columns: characters
    in words, distinct words, entropy in nats, then for n = 2 to 4 the characters of the most frequent run of n words
    times its count, for n = 5 to 10 the characters of words in some run of n words that occurs at least twice.
    """
    result = np.zeros((len(offsets) - 1, NUM_COLUMNS))
    most = _most(offsets)
    slots, keys = _table_for(most), np.empty(most, np.uint64)
    word, gram, place = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    count, first = np.empty(most, np.int32), np.empty(most, np.int32)
    for i in range(len(offsets) - 1):
        start, num = offsets[i], offsets[i + 1] - offsets[i]
        long = lengths[start : offsets[i + 1]]
        mask, grams = _emptied(slots, num), 0
        for k in range(num):
            word[k] = _number(hashes[start + k], slots, mask, keys, np.int32(grams))
            if word[k] == grams:
                count[grams] = 0
                grams += 1
            count[word[k]] += 1
            result[i, NUM_CHARS] += long[k]
        result[i, DISTINCT] = grams
        for g in range(grams):
            share = count[g] / num
            result[i, ENTROPY] -= share * np.log(share)
        # The runs that repeat so far, in order: where they begin and their numbers.
        left = 0
        for k in range(num):
            if count[word[k]] > 1:
                place[left], gram[left] = k, word[k]
                left += 1
        for n in range(2, LONGEST + 1):
            mask, grams, found = _emptied(slots, left), 0, 0
            for j in range(left - 1):
                k = place[j]
                if place[j + 1] != k + 1:
                    continue
                key = np.uint64(gram[j]) << np.uint64(32) | np.uint64(word[k + n - 1])
                g = _number(key, slots, mask, keys, np.int32(grams))
                if g == grams:
                    count[grams], first[grams] = 0, k
                    grams += 1
                count[g] += 1
                place[found], gram[found] = k, g
                found += 1
            left = 0
            for j in range(found):
                if count[gram[j]] > 1:
                    place[left], gram[left] = place[j], gram[j]
                    left += 1
            if left == 0:
                break
            if n <= 4:
                result[i, FIRST_GRAM + n - 2] = _top(count[:grams], first, long, n)
            else:
                result[i, FIRST_GRAM + n - 2] = _covered(place[:left], long, n)
    return result
