"""What the text of a file is made of: code, comments and strings for any program, structure for Python."""

from opencoder_lib.syntax.scanner import Split, split
from opencoder_lib.syntax.tree import PythonFacts, python_facts

__all__ = ["PythonFacts", "Split", "python_facts", "split"]
