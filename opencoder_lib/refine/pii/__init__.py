"""Personal data and secrets: rules as data (rules.toml), run in linear time, checked, and replaced by placeholders."""

from opencoder_lib.refine.pii.redact import find_personal_data, redact_personal_data

__all__ = ["find_personal_data", "redact_personal_data"]
