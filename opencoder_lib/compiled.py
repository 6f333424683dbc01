"""Loops compiled by numba, kept on disk so that only the first run of a version waits for the compiler.

    @kernel
    def count(codes): ...

numba decides by a function's own file whether its stored code is still good, and misses a change in a function that it
calls from another file. So what is stored lives in a folder named after the sources of all kernels.
"""

import hashlib
import os
import tempfile
from pathlib import Path

import numba


def _sources_hash() -> str:
    """A hash of every module that has kernels, or constants compiled into them."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        source = path.read_bytes()
        if b"opencoder_lib.compiled import" in source or path.name.endswith("_codes.py"):
            found.update(source)
    return found.hexdigest()[:16]


def cache_folder() -> Path:
    """Where the compiled code of these sources is kept: below XDG_CACHE_HOME, or below the temporary folder where that
    cannot be written."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for base in (home, Path(tempfile.gettempdir()) / f"opencoder-{os.getuid() if hasattr(os, 'getuid') else 'user'}"):
        folder = base / "opencoder" / "kernels" / _sources_hash()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="opencoder-kernels-"))


if not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = str(cache_folder())

# Without the interpreter's lock: kernels see arrays and numbers only, so threads may run them side by side.
kernel = numba.njit(cache=True, nogil=True)
# For kernels that only kernels call and that make no array: they need not count references to their arguments, which
# takes most of the time of a short function.
inner_kernel = numba.njit(cache=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def is_first_run() -> bool:
    """Whether nothing has been compiled for these sources yet, so that the first shard takes longer."""
    return not any(Path(numba.config.CACHE_DIR).rglob("*.nbi"))
