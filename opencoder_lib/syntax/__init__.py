"""What the text of a file is made of: code, comments and strings for any program, structure for Python."""

from opencoder_lib.syntax.python import PythonFacts, python_facts
from opencoder_lib.syntax.scanner import Split, split

__all__ = ["PythonFacts", "Split", "python_facts", "split"]
