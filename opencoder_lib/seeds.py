"""Randomness comes from here only: named streams derived from one seed, and coins hashed from a document id.

Two stages that draw from differently named streams never disturb each other, so adding a draw to one
chapter cannot change the numbers of another.
"""

import hashlib

import numpy as np


def stream_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called `names`, e.g. stream_seed(0, "planted", "near_duplicate")."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def rng(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator for the stream called `names`."""
    return np.random.default_rng(stream_seed(seed, *names))


def hash_share(key: str, doc_id: str) -> float:
    """A number in [0, 1) that depends on `key` and `doc_id` alone: the coin of a document."""
    # Hash the id, not the row number: a reshuffled shard must keep the same sample.
    # 13 hexadecimal digits are 52 bits: exact in a double, so the share can never round up to 1.
    return int(hashlib.sha256(f"{key}\x1f{doc_id}".encode()).hexdigest()[:13], 16) / 16**13
