"""Named streams and document coins: repeatable, independent, uniform."""

import hashlib

from opencoder_lib.seeds import hash_share, rng, stream_seed


def test_same_name_gives_the_same_stream_and_another_name_another():
    assert rng(0, "planted").integers(1 << 30, size=4).tolist() == rng(0, "planted").integers(1 << 30, size=4).tolist()
    assert stream_seed(0, "planted") != stream_seed(0, "training")
    assert stream_seed(0, "planted") != stream_seed(1, "planted")


def test_names_do_not_run_together():
    assert stream_seed(0, "a", "b") != stream_seed(0, "ab")
    assert stream_seed(1, "2") != stream_seed(12)


def test_coin_is_the_leading_52_bits_of_the_hash():
    digest = hashlib.sha256(b"rule\x1fdoc").hexdigest()
    assert hash_share("rule", "doc") == int(digest[:13], 16) / 16**13


def test_coins_are_spread_evenly():
    coins = [hash_share("rule", str(number)) for number in range(4000)]
    assert all(0 <= coin < 1 for coin in coins)
    # 4,000 fair coins at 0.8: mean 3,200, standard deviation 25.3; five of those either side
    assert abs(sum(coin < 0.8 for coin in coins) - 3200) < 127
