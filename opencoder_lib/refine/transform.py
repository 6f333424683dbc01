"""Transformation: what is wrong in a few bytes of many files is mended, not dropped (paper section 2.1.1).

Copyright notices in the first comments go, personal data and secrets give way to placeholders. No file is removed.
"""

import polars as pl

from opencoder_lib.refine.copyright import find_notices
from opencoder_lib.refine.edits import Transformed, apply
from opencoder_lib.refine.pii import find_personal_data


def transform(files: pl.DataFrame) -> Transformed:
    """The files without notices and without personal data, and what was changed in each.

    Notices go first: an author's address in one needs no placeholder any more. Rows removed before are untouched.
    """
    shorter, notices = apply(files, find_notices(files), "copyright")
    redacted, replaced = apply(shorter, find_personal_data(shorter), "personal_data")
    return Transformed(redacted, pl.concat([notices, replaced]).sort("doc_id", "transform", "kind"))
