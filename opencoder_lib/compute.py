"""Where models compute: which device, which precision, how many threads. Shared by `embed` and `train`."""

import ctypes
import os
from contextlib import AbstractContextManager, suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch

from opencoder_lib.errors import ConfigError

# Names of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
PRECISIONS = ("auto", "float32", "bfloat16")


def pick_device(name: str = "auto") -> torch.device:
    """The device called `name`; 'auto' is the accelerator when there is one, else the processor.

    Raises ConfigError when an accelerator is asked for that torch does not see.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"There is no device {name!r}. Use 'auto', 'cpu' or 'cuda'.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device={name!r}, but torch {torch.__version__} sees no accelerator. Use 'auto' or 'cpu'.")
    return device


def has_bfloat16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 in hardware; emulation would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Older torch cannot tell; then float32 is the safe answer.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def uses_bfloat16(device: torch.device, precision: str = "auto") -> bool:
    """Whether matrix products run in bfloat16: 'auto' where the hardware has it, the other two force it on or off."""
    if precision not in PRECISIONS:
        raise ConfigError(f"precision={precision!r} is none of {', '.join(PRECISIONS)}.")
    return has_bfloat16(device) if precision == "auto" else precision == "bfloat16"


def autocast(device: torch.device, precision: str = "auto") -> AbstractContextManager:
    """A context in which matrix products run as `uses_bfloat16` says, while weights and sums stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16(device, precision))


@cache
def keep_memory() -> None:
    """From here on the C library keeps what this process frees, for the process itself to use again.

    A training step frees and takes the same hundreds of megabytes. By default glibc hands them back to the system and
    gets them back page by page, zeroed: up to a fifth of a small model's step. Elsewhere this changes nothing.
    """
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 2**30)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def available_bytes(device: torch.device) -> int | None:
    """Memory that a process could still get on `device`; None where the system does not say.

    On a processor that is what the kernel calls available (caches can be dropped), within the limit of the container.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found = [_meminfo_available(), _container_left()]
    return min((value for value in found if value is not None), default=None)


def _meminfo_available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        # Other systems tell the size of the machine at least.
        names = getattr(os, "sysconf_names", {})
        known = {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= set(names)
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else None
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(kilobytes[0]) * 1024 if kilobytes else None


def _container_left(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What the container's limit leaves (cgroup 2, as every recent container has it); None without a limit."""
    try:
        limit, used = ((folder / f"memory.{name}").read_text(encoding="ascii").strip() for name in ("max", "current"))
    except OSError:
        return None
    return max(int(limit) - int(used), 0) if limit.isdigit() and used.isdigit() else None


def repeat_exactly(num_threads: int, device: torch.device) -> None:
    """The same program on the same machine gives the same bits from here on, whatever runs beside it.

    Sums depend on how many threads share them, so the number is fixed, not taken from the machine's load. On an
    accelerator the fast attention kernels add in changing order: there runs agree closely, not bit by bit.
    """
    if num_threads < 1:
        raise ConfigError(f"num_threads={num_threads}: at least one thread must work.")
    torch.set_num_threads(num_threads)
    # NumPy and SciPy bring their own threads; threadpoolctl, which scikit-learn installs, reaches those loaded so far.
    if find_spec("threadpoolctl"):
        import_module("threadpoolctl").threadpool_limits(num_threads)
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True)
    else:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
