"""Where models compute: which device, which precision, how many threads. Shared by `embed` and `train`."""

import os
from contextlib import AbstractContextManager
from importlib import import_module
from importlib.util import find_spec

import torch

from opencoder_lib.errors import ConfigError

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


def autocast(device: torch.device, precision: str = "auto") -> AbstractContextManager:
    """A context in which matrix products run in bfloat16 while weights and sums stay float32.

    precision: 'auto' uses bfloat16 where the hardware has it; the other two force it on or off.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision={precision!r} is none of {', '.join(PRECISIONS)}.")
    wanted = has_bfloat16(device) if precision == "auto" else precision == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


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
