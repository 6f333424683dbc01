"""A report as `opencoder clean` writes it, small enough to add up by hand, and names that try to be something else."""

from typing import Any

HOSTILE = '<script>alert("x")</script> | `a` & *b*\n---\n\x1b[31m'
STAGES = ("preprocess", "exact", "fuzzy", "transform", "filter", "sample")


def stage(name: str, before: tuple[int, int], removed: tuple[int, int]) -> dict[str, Any]:
    """A row of the funnel; pairs are files and bytes."""
    return {
        "stage": name,
        **{"files_before": before[0], "bytes_before": before[1]},
        **{"files_removed": removed[0], "bytes_removed": removed[1]},
        **{"files_after": before[0] - removed[0], "bytes_after": before[1] - removed[1]},
    }


def read_kept(read: tuple[int, int], kept: tuple[int, int]) -> dict[str, int]:
    """Files and bytes before and after."""
    return {"files_read": read[0], "bytes_read": read[1], "files_kept": kept[0], "bytes_kept": kept[1]}


def whole_report() -> dict[str, Any]:
    """1,000 files of 40 MB, of which 400 of 8 MB are left; every part has something to say."""
    return {
        "about": {
            "settings": {
                "stages": list(STAGES),
                "max_bytes": 8_000_000,
                "minhash": {"bands": 16, "rows": 128, "ngram": 5, "num_hashes": 2048, "verify": None},
                "rulebook": "released",
                "against": [],
                "budgets": {"java": 2_000_000, "html": 90_000_000},
                "licences": "permissive",
                "text_files": "all",
                "notebooks": False,
            },
            "stars": "stars.csv",
            "columns": {"text": "text", "path": "path", "doc_id": "doc_id", "repo": "repo"},
            "inputs": ["clones", "stars.csv"],
            "inputs_fingerprint": "f" * 64,
            "rulebook_sha256": "b" * 64,
            "versions": {"polars": "2.1.0", "python": "3.11.7"},
            "library_sha256": "c" * 64,
        },
        "inputs": ["clones", "stars.csv"],
        "rows": 1000,
        "seconds": 20.0,
        "seconds_by_pass": {"write": 12.0, "read": 3.0, "keys": 4.0, "exact": 0.5},
        "engine": "native",
        "skipped": {"symbolic link": 3},
        "unreadable_lines": {"a.jsonl": {"n": 2, "examples": ["line 7: not JSON", "line 9: no text"]}},
        "notes": {"repository without commits": 1},
        "opt_out": {"entries": 2, "files": 5, "matched_nothing": ["nobody/nothing"]},
        "funnel": [
            stage("preprocess", (1000, 40_000_000), (100, 20_000_000)),
            stage("exact", (900, 20_000_000), (300, 3_000_000)),
            stage("fuzzy", (600, 17_000_000), (50, 1_000_000)),
            stage("transform", (550, 16_000_000), (0, 500_000)),
            stage("filter", (550, 15_500_000), (100, 2_500_000)),
            stage("sample", (450, 13_000_000), (50, 5_000_000)),
        ],
        "removed_by": {
            "exact.duplicate": {"files": 300, "bytes": 3_000_000},
            "preprocess.binary": {"files": 90, "bytes": 19_500_000},
            "filter.python.mostly_pass": {"files": 80, "bytes": 2_000_000},
            "fuzzy.near_duplicate": {"files": 50, "bytes": 1_000_000},
            "sample.over_budget": {"files": 50, "bytes": 5_000_000},
            "filter.code.few_words": {"files": 20, "bytes": 500_000},
            "preprocess.too_large": {"files": 10, "bytes": 500_000},
        },
        "languages": [
            {"language": "python", "category": "code", **read_kept((500, 10_000_000), (200, 4_000_000))},
            {"language": "java", "category": "code", **read_kept((300, 9_000_000), (150, 2_000_000))},
            {"language": "html", "category": "data", **read_kept((100, 1_000_000), (50, 2_000_000))},
            {"language": "unknown", "category": "unknown", **read_kept((100, 20_000_000), (0, 0))},
        ],
        "transforms": [
            {"transform": "copyright", "kind": "notice", "files": 120, "n": 125, "bytes_cut": 500_100},
            {"transform": "personal_data", "kind": "email", "files": 30, "n": 60, "bytes_cut": -100},
        ],
        "dedup": [
            {
                **{"stage": "exact", "groups": 40, "files": 300, "largest": 90},
                "sizes": [{"size": "2", "groups": 30}, {"size": "3-4", "groups": 8}, {"size": "65-128", "groups": 2}],
            },
            {"stage": "fuzzy", "groups": 45, "files": 50, "largest": 3, "sizes": [{"size": "2", "groups": 45}]},
        ],
        "licences": [
            {"license": "MIT", "permissive": True, **read_kept((600, 20_000_000), (250, 5_000_000))},
            {"license": "GPL-3.0-only", "permissive": False, **read_kept((300, 10_000_000), (100, 2_000_000))},
            {"license": None, "permissive": False, **read_kept((100, 10_000_000), (50, 1_000_000))},
        ],
        "sampling": [
            {
                **{"language": "java", "budget": 2_000_000, "files_before": 200, "bytes_before": 7_000_000},
                **{"files_after": 150, "bytes_after": 2_000_000},
            },
            {
                **{"language": "html", "budget": 90_000_000, "files_before": 50, "bytes_before": 2_000_000},
                **{"files_after": 50, "bytes_after": 2_000_000},
            },
        ],
        "files": [
            {"path": "kept/000000-000.parquet", "rows": 400, "bytes": 2_100_000, "sha256": "d" * 64},
            {"path": "clusters.parquet", "rows": 350, "bytes": 20_000, "sha256": "e" * 64},
        ],
    }


def hostile(value: Any) -> Any:
    """The same shape with every name and text replaced by one that tries to be markup."""
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


def hostile_report() -> dict[str, Any]:
    """A report whose every name is HOSTILE, the free keys too."""
    report = hostile(whole_report())
    for name in ("removed_by", "notes", "skipped", "unreadable_lines", "seconds_by_pass"):
        report[name] = {f"{HOSTILE}{at}": value for at, value in enumerate(report[name].values())}
    report["about"]["settings"][HOSTILE] = {HOSTILE: HOSTILE}
    report["about"]["versions"] = {HOSTILE: HOSTILE}
    return report
