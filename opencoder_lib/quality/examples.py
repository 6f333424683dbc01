"""The rulebook's own documents, run through the engine: each rule proves that it drops one and keeps a near miss."""

import polars as pl

from opencoder_lib.files import new_files
from opencoder_lib.quality.apply import decide
from opencoder_lib.quality.compute import compute_signals
from opencoder_lib.quality.rules import Rulebook

# What an example of each set is called; Ruby stands for the languages without a set of their own.
EXAMPLE_FILE = {
    "text_en": "example.txt",
    "text_zh": "example.txt",
    "others": "example.rb",
    "data": "example.json",
    "shell": "example.sh",
    "sql": "example.sql",
    "python": "example.py",
    "c": "example.c",
    "cpp": "example.cpp",
    "csharp": "example.cs",
    "go": "example.go",
    "html": "example.html",
    "java": "example.java",
    "javascript": "example.js",
}


def example_files(rules: Rulebook) -> pl.DataFrame:
    """A file frame of all example documents; doc_id is `<rule id>/drops` or `<rule id>/keeps`."""
    rows = []
    for rule in rules:
        name = EXAMPLE_FILE[rule.example_set]
        for kind, text, path in (("drops", rule.drops, rule.drops_file or name), ("keeps", rule.keeps, name)):
            if text is not None:
                rows.append(
                    {
                        "doc_id": f"{rule.id}/{kind}",
                        "text": text,
                        "path": path,
                        "origin": "planted",
                        "natural_language": "zh" if rule.example_set == "text_zh" else "en",
                    }
                )
    return new_files(rows)


def check_examples(rules: Rulebook) -> pl.DataFrame:
    """One row per example: rule, kind (drops or keeps), decision, fired, ok.

    A `drops` is ok if its own rule fires; a `keeps` is ok if the whole rulebook keeps it. Run it after writing a rule.
    """
    files = example_files(rules)
    decisions = decide(files, compute_signals(files), rules)
    rule, kind = pl.col("doc_id").str.split("/").list.first(), pl.col("doc_id").str.split("/").list.last()
    named = decisions.with_columns(rule=rule, kind=kind)
    ok = (
        pl.when(pl.col("kind") == "drops")
        .then(pl.col("fired").list.contains(pl.col("rule")))
        .otherwise(pl.col("decision") == "keep")
    )
    return named.select("rule", "kind", "decision", "fired", ok=ok)
