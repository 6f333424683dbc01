"""Where files come from. Every source returns a `Collection`: a file frame and an account of what was not taken."""

from opencoder_lib.corpora.folder import collect_folder
from opencoder_lib.corpora.installed import collect_installed
from opencoder_lib.corpora.planted import plant_defects
from opencoder_lib.corpora.reading import Collection, reading_report

__all__ = ["Collection", "collect_folder", "collect_installed", "plant_defects", "reading_report"]
