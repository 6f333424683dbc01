"""The process that runs programs: `python -s -S -B runner.py SETTINGS`, started by `process.py`.

It imports nothing of ours but the two modules beside it. A line of JSON comes in for each program, a line goes out:
what each case gave, or why none did. The program never sees what is expected. What ends a program also ends this
process: signals with their default action, which no `except` can catch and which stop C code too. The parent then
starts the next one.
"""

import builtins
import contextlib
import json
import os
import signal
import sys
import unicodedata  # noqa: F401  # the parser wants it for names beyond ASCII, when no file can be opened any more

NOBODY = 65534
# Seconds for the whole process, in case the timer of a program should fail.
PROCESS_CPU = 600


def main() -> None:
    """Serve programs until the input ends."""
    # Found beside this file: a script's folder is on the path, and the package around it is not.
    from values import MAX_COST, NotPlain, TooLarge, pack, unpack
    from whitelist import BUILTINS, refusal

    settings = json.loads(sys.argv[1])
    known = vars(builtins)
    table = {name: known[name] for name in BUILTINS}
    give_up_rights(settings["memory_bytes"])
    answer({"ready": True})
    for line in sys.stdin:
        job = json.loads(line)
        if word := refusal(job["source"]):
            answer({"refused": word})
            continue
        values, error = [], None
        signal.setitimer(signal.ITIMER_PROF, settings["cpu_seconds"])
        try:
            space = {"__builtins__": dict(table), "__name__": "candidate"}
            exec(compile(job["source"], "<candidate>", "exec", dont_inherit=True), space)
            function, left = space.get(job["entry_point"]), [MAX_COST]
            for packed in job["cases"] if function else ():
                values.append(pack(function(*unpack(packed)), left))
            error = None if function else "NoSuchFunction"
        except (NotPlain, TooLarge) as problem:
            error = type(problem).__name__
        except BaseException as problem:
            error = type(problem).__name__
            if error == "NameError" and problem.name in known:
                word = problem.name
        # What the program made must be gone before the answer needs memory.
        space = function = None
        signal.setitimer(signal.ITIMER_PROF, 0)
        answer({"refused": word} if word else {"values": values, "error": error})
        if error == "MemoryError":
            # What is left of the memory, and of the interpreter, is not known.
            return


def answer(found: dict) -> None:
    """One line to the parent."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def give_up_rights(memory_bytes: int) -> None:
    """This process can open no file, write none, start no process, take no more memory, and cannot undo that."""
    import resource

    if os.geteuid() == 0:
        # The number of processes does not bind root. Some containers have no other user to become.
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: PROCESS_CPU,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        # Three are open: what comes in, what goes out, and nowhere.
        resource.RLIMIT_NOFILE: 3,
    }
    for which, most in limits.items():
        _, hard = resource.getrlimit(which)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (least, least))


if __name__ == "__main__":
    main()
