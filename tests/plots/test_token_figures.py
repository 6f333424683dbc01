import numpy as np
import polars as pl

from opencoder_lib.plots import tokens


def test_each_language_is_a_line_told_from_its_smallest_to_its_largest_vocabulary():
    frame = pl.DataFrame(
        {
            "vocab_size": [512, 1_024, 1_024, 512],
            "language": ["python", "python", "c", "c"],
            "bytes_per_token": [2.0, 2.5, 2.2, 1.9],
            "plus_minus": [0.1, None, None, 0.2],
        }
    )
    figure, alt = tokens.bytes_per_token(frame)
    assert (
        alt
        == "Bytes in a token for vocabularies of 512 to 1,024 tokens: python from 2.00 to 2.50; c from 1.90 to 2.20."
    )
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["python", "c"]
    assert figure.axes[0].get_ylim()[0] == 0


def test_no_text_is_said_and_not_drawn():
    _, alt = tokens.bytes_per_token(pl.DataFrame({"vocab_size": [], "language": [], "bytes_per_token": []}))
    assert alt == "No text to count tokens of."


def test_documents_and_windows_are_told_in_shares():
    borders = pl.DataFrame(
        {
            "length": [256, 4_096],
            "frac_windows_with_border": [0.25, 0.75],
            "frac_tokens_mixed": [0.1, 0.5],
            "frac_pairs_across": [0.05, 0.4],
        }
    )
    figure, alt = tokens.documents_and_windows(np.array([100, 200, 1_000, 10_000]), borders, context=256)
    assert "50% of 4 documents have at most 256 tokens; the median has 600" in alt
    assert "4,096 tokens: 75% of windows, 50% of tokens, 40% of pairs" in alt
    by_documents, by_tokens = figure.axes[0].lines[:2]
    assert by_documents.get_ydata().tolist() == [0.25, 0.5, 0.75, 1.0]
    assert by_tokens.get_ydata().tolist() == [100 / 11_300, 300 / 11_300, 1_300 / 11_300, 1.0]
