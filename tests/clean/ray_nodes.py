"""A Ray cluster of several nodes on this machine, each a process of its own that can be killed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

STARTED = "Ray runtime started"
# A dead node is noticed in two seconds instead of the usual ten or more.
HEALTH = {"initial_delay_ms": 500, "period_ms": 500, "timeout_ms": 1000, "failure_threshold": 3}


class RayNodes:
    """`count` nodes with one processor each, the first of them the head. Use as a context."""

    def __init__(self, count: int = 3):
        self.count, self.nodes = count, []
        # Sockets have short names, so their folder must too.
        self._folder = Path(tempfile.mkdtemp(prefix="ray"))
        self.environment = os.environ | {f"RAY_health_check_{name}": str(value) for name, value in HEALTH.items()}
        # One token for all: a machine may hold one of its own, and then nobody may join without.
        self.environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex, "RAY_DISABLE_DASHBOARD": "1"}

    def __enter__(self) -> "RayNodes":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        try:
            port = self.address.partition(":")[2]
            # One after the other: of two that join at once, one is lost now and then.
            self._start("--head", f"--port={port}", "--include-dashboard=False", f"--temp-dir={self._folder}")
            for _ in range(1, self.count):
                self._start(f"--address={self.address}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self, *options: str) -> None:
        log = self._folder / f"node{len(self.nodes)}.log"
        command = [Path(sys.executable).with_name("ray"), "start", *options, "--num-cpus=1", "--block"]
        command += ["--node-ip-address=127.0.0.1", "--object-store-memory=100000000", "--disable-usage-stats"]
        command += ["--min-worker-port=0", "--max-worker-port=0", "--include-log-monitor=False"]
        with log.open("wb") as out:
            node = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, env=self.environment, start_new_session=True
            )
        self.nodes.append(node)
        deadline = time.monotonic() + 60
        while STARTED not in log.read_text(errors="replace"):
            if node.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"A Ray node did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)

    def kill(self, number: int) -> None:
        """End a node at once, with everything that runs on it, as a machine that loses power."""
        for pid in _family(self.nodes[number].pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.nodes[number].wait()

    def __exit__(self, *_) -> None:
        for number in reversed(range(len(self.nodes))):
            self.kill(number)
        shutil.rmtree(self._folder, ignore_errors=True)


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in table.splitlines()]
    found = [pid]
    for one in found:
        found += [child for child, parent in pairs if parent == one]
    return found
