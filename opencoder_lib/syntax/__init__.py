"""What the text of a file is made of: code and comments for any program (`scanner`), structure for Python, and in
modules that are imported by themselves for JavaScript (`javascript`) and HTML (`html`)."""

from opencoder_lib.syntax.python import PythonFacts, python_facts
from opencoder_lib.syntax.scanner import Split, split

__all__ = ["PythonFacts", "Split", "python_facts", "split"]
