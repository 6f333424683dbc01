"""Copyright notices: what the first comments of a file say about who owns it, found and taken out."""

from opencoder_lib.refine.copyright.strip import find_notices, notices, strip_copyright_notices

__all__ = ["find_notices", "notices", "strip_copyright_notices"]
