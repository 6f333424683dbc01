import polars as pl
import pytest

from opencoder_lib.ablations.command import StoredCorpus, arms_named, conclusions
from opencoder_lib.errors import MissingArtifact
from opencoder_lib.evaluate.ablation import TABLES, TRAIN_LOSS, Results


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("file", ["file"]),
        ("fewer files, repeated (control), file", ["fewer files, repeated (control)", "file"]),
        ("file, fewer files", ["file", "fewer files"]),
        ("", []),
    ],
)
def test_an_arm_whose_name_holds_a_comma_can_be_asked_for(typed, named):
    known = ("file", "fewer files, repeated (control)")
    assert arms_named([piece.strip() for piece in typed.split(",") if piece.strip()], known) == named


def test_the_conclusions_hold_each_arm_against_the_baseline_and_against_the_control():
    # Bits of seeds 0 and 1: "some" is 0.3 and 0.5 above "all", 0.1 and 0.2 above "as few".
    bits = {"all": (2.0, 2.2), "some": (2.3, 2.7), "as few": (2.2, 2.5)}
    told = conclusions(Design, results_of(bits))
    assert "some: +0.400 bits per byte" in told
    assert told.count("against the control") == 1
    assert "against the control: +0.150 bits per byte" in told


def test_a_corpus_that_is_not_there_is_named_with_the_command_that_makes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENCODER_ROOT", str(tmp_path))
    with pytest.raises(MissingArtifact, match=r"06-sampling \(profile gpu\)\. Run: make run ONLY=06 PROFILE=gpu"):
        StoredCorpus("gpu").after("06-sampling")


class Design:
    baseline, control, metric = "all", "as few", "code"


def results_of(bits):
    runs = [
        {"arm": arm, "seed": seed, "metric": metric, "value": value}
        for arm, values in bits.items()
        for seed, value in enumerate(values)
        for metric in ("code", TRAIN_LOSS)
    ]
    units = [
        {
            "arm": row["arm"],
            "seed": row["seed"],
            "set": "code",
            "unit": unit,
            "bits": 100 * row["value"],
            "n_bytes": 100,
        }
        for row in runs
        if row["metric"] == "code"
        for unit in "ab"
    ]
    frames = {name: pl.DataFrame(schema=schema) for name, schema in TABLES.items()}
    frames |= {
        "runs": pl.DataFrame(runs, schema=TABLES["runs"]),
        "units": pl.DataFrame(units, schema=TABLES["units"]),
    }
    return Results("try", "all", tuple(bits), (0, 1), **frames)
