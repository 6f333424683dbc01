"""What words repeat: distinct words, their entropy, and every run of 2 to 10 words, counted in one pass a text.

Equal words of a text get equal small numbers: their places in a hash table. A run of n words is then the pair (number
of its first n-1 words, number of its last word), which fits 64 bits, so runs are counted without collisions. Only a
run whose two shorter runs both repeat can repeat: each step looks at what the step before left over, which in most
files is little. Words are told apart by 64 bits of hash.
"""

import numpy as np

from opencoder_lib.compiled import inner_kernel, kernel

LONGEST = 10
TOP, DUPE = (2, 3, 4), (5, 6, 7, 8, 9, 10)
NUM_CHARS, DISTINCT, ENTROPY, FIRST_GRAM = 0, 1, 2, 3
NUM_COLUMNS = FIRST_GRAM + LONGEST - 1


def column(n: int) -> int:
    """The column of the statistics that holds the runs of `n` words."""
    return FIRST_GRAM + n - 2


@kernel
def _emptied(count, num):
    """Empty as much of a hash table as `num` keys need, and return its mask: what is small stays in the cache."""
    mask = 15
    while mask < 2 * num:
        mask = 2 * mask + 1
    count[: mask + 1] = 0
    return np.uint64(mask)


@kernel
def _size_for(num):
    """The size of a hash table for `num` keys."""
    size = 16
    while size <= 2 * num:
        size *= 2
    return size


@inner_kernel
def _slot(key, keys, count, mask):
    """The place of `key` in the hash table, which is its number from now on. A place is free while its count is 0."""
    at = (key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32) & mask
    # Unsigned all through: numba checks a signed index for being negative, at each of three look-ups.
    while count[at] != 0 and keys[at] != key:
        at = (at + np.uint64(1)) & mask
    keys[at] = key
    return at


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
    result, size = np.zeros(len(hashes), np.bool_), _size_for(_most(offsets))
    keys, count, slot = np.empty(size, np.uint64), np.empty(size, np.int32), np.empty(len(hashes), np.uint32)
    for i in range(len(offsets) - 1):
        mask = _emptied(count, offsets[i + 1] - offsets[i])
        for k in range(offsets[i], offsets[i + 1]):
            slot[k] = _slot(hashes[k], keys, count, mask)
            count[slot[k]] += 1
        for k in range(offsets[i], offsets[i + 1]):
            result[k] = count[slot[k]] > 1
    return result


@kernel
def members(hashes, listed):
    """Which items are among the listed ones (one boolean an item)."""
    result, size = np.zeros(len(hashes), np.bool_), _size_for(len(listed) + 1)
    keys, count = np.empty(size, np.uint64), np.empty(size, np.int32)
    mask = _emptied(count, len(listed) + 1)
    for key in listed:
        count[_slot(key, keys, count, mask)] = 1
    for k in range(len(hashes)):
        result[k] = count[_slot(hashes[k], keys, count, mask)] != 0
    return result


@inner_kernel
def _top(gram, place, count, lengths, n):
    """Characters of the most frequent run times how often it occurs; the first wins a tie; 0 if none occurs twice."""
    most, best = 1, -1
    for j in range(len(gram)):
        if count[gram[j]] > most:
            most, best = count[gram[j]], place[j]
    length = 0
    for k in range(best, best + n if best >= 0 else best):
        length += lengths[k]
    return length * most


@inner_kernel
def _covered(places, lengths, n):
    """Characters of the words that lie in a run of n words which begins at one of `places` (ascending), each once."""
    total = covered = 0
    for place in places:
        for k in range(max(covered, place), place + n):
            total += lengths[k]
        covered = place + n
    return total


@inner_kernel
def _entropy(word, count, num):
    """-sum p ln p, summed in the order in which words occur first. Leaves the counts negative."""
    entropy = 0.0
    for k in range(num):
        if count[word[k]] > 0:
            share = count[word[k]] / num
            entropy -= share * np.log(share)
            count[word[k]] = -count[word[k]]
    return entropy


@kernel
def word_statistics(hashes, lengths, offsets):
    """What repeats in each text: (texts, NUM_COLUMNS) floats.

    hashes: 64 bits a word; lengths: characters a word; offsets: where the words of each text begin. Columns: characters
    in words, distinct words, entropy in nats, then for n = 2 to 4 the characters of the most frequent run of n words
    times its count, for n = 5 to 10 the characters of words in some run of n words that occurs at least twice.
    """
    result = np.zeros((len(offsets) - 1, NUM_COLUMNS))
    most = _most(offsets)
    size = _size_for(most)
    keys, count = np.empty(size, np.uint64), np.empty(size, np.int32)
    word, gram, place = np.empty(most, np.uint32), np.empty(most, np.uint32), np.empty(most, np.int32)
    for i in range(len(offsets) - 1):
        start, num = offsets[i], offsets[i + 1] - offsets[i]
        long = lengths[start : offsets[i + 1]]
        mask, chars, distinct = _emptied(count, num), 0, 0
        for k in range(num):
            word[k] = _slot(hashes[start + k], keys, count, mask)
            distinct += count[word[k]] == 0
            count[word[k]] += 1
            chars += long[k]
        result[i, NUM_CHARS], result[i, DISTINCT] = chars, distinct
        # The runs that repeat so far, in order: where they begin and their numbers.
        left = 0
        for k in range(num):
            place[left], gram[left] = k, word[k]
            left += count[word[k]] > 1
        result[i, ENTROPY] = _entropy(word, count, num)
        for n in range(2, LONGEST + 1):
            mask, found = _emptied(count, left), 0
            for j in range(left - 1):
                k = place[j]
                if place[j + 1] == k + 1:
                    key = np.uint64(gram[j]) << np.uint64(32) | np.uint64(word[k + n - 1])
                    place[found], gram[found] = k, _slot(key, keys, count, mask)
                    count[gram[found]] += 1
                    found += 1
            if n <= 4:
                result[i, FIRST_GRAM + n - 2] = _top(gram[:found], place, count, long, n)
            left = 0
            for j in range(found):
                place[left], gram[left] = place[j], gram[j]
                left += count[gram[j]] > 1
            if left == 0:
                break
            if n > 4:
                result[i, FIRST_GRAM + n - 2] = _covered(place[:left], long, n)
    return result
