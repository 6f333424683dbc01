"""Generated programs run here: read against a whitelist, then run in a process of their own that can do little.

verdicts = run([Candidate(source, "add", (Case((2, 3), 5),))])      # ["passed"]

What this is: enough for short functions without imports, such as those of `exercises`. Two things stand between a
program and the machine, the whitelist (`whitelist.py`) and the limits of the process (`runner.py`).
What it is not: a jail. The process sees the same file system and network as its parent, only the whitelist keeps a
program from them, and a flaw of CPython that plain expressions can reach would be enough to get past it. Programs that
import anything, or come from someone who means harm, need namespaces and a filter of system calls around the process.
"""

from opencoder_lib.sandbox.asserts import parse_asserts, parse_program
from opencoder_lib.sandbox.process import Candidate, Case, Limits, run
from opencoder_lib.sandbox.whitelist import refusal

__all__ = ["Candidate", "Case", "Limits", "parse_asserts", "parse_program", "refusal", "run"]
