"""What a program gets for what it does, and what it cannot do, whatever it tries."""

import os
import subprocess
import sys

import pytest

from opencoder_lib.errors import ConfigError, InputError
from opencoder_lib.sandbox import Candidate, Case, Limits, parse_asserts, parse_program, process, refusal, run
from opencoder_lib.sandbox.values import NotPlain, pack, unpack

ONE = (Case((1,), 2),)
QUICK = Limits(cpu_seconds=0.3, wall_seconds=30)


def body(text, cases=ONE):
    return Candidate(f"def f(x):\n    {text}\n", "f", cases)


def verdict(source, cases=ONE, limits=QUICK):
    return run([Candidate(source, "f", cases)], limits)[0]


# Verdicts


def test_each_program_has_the_verdict_that_its_first_failing_case_gives():
    two = (Case((1,), 2), Case((0,), 0))
    programs = {
        "def f(x):\n    return x + 1\n": "wrong",
        "def f(x):\n    return x * 2\n": "passed",
        "def f(x):\n    return 2 // x\n": "error:ZeroDivisionError",
        "def f(x):\n    return y\n": "error:NameError",
        "def f(x) return 2\n": "error:SyntaxError",
        "def g(x):\n    return 2\n": "error:NoSuchFunction",
        "": "error:NoSuchFunction",
        "f = lambda x: x * 2": "passed",
        "def f(x, y):\n    return x\n": "error:TypeError",
        # The first case is wrong before the second one fails.
        "def f(x):\n    return 3 // x\n": "wrong",
    }
    assert run([Candidate(source, "f", two) for source in programs], QUICK) == list(programs.values())


def test_values_of_every_plain_type_are_compared_as_python_compares_them():
    pairs = [
        (None, None),
        (True, True),
        (-3, -3),
        (2, 2.0),
        (0.1 + 0.2, 0.1 + 0.2),
        (float("inf"), float("inf")),
        ("é\n\ud800", "é\n\ud800"),
        ([1, (2, 3)], [1, (2, 3)]),
        ({1, 2}, {2, 1}),
        ({"b": 1, "a": [2]}, {"a": [2], "b": 1}),
        ({(1, 2): None}, {(1, 2): None}),
        (10**300, 10**300),
    ]
    same = [body("return x", (Case((given,), expected),)) for given, expected in pairs]
    assert run(same) == ["passed"] * len(pairs)
    others = [((1, 2), [1, 2]), ("1", 1), ([], None), ({}, set()), (float("nan"), float("nan"))]
    assert run([body("return x", (Case((given,), expected),)) for given, expected in others]) == ["wrong"] * 5


def test_a_call_cannot_change_what_the_next_one_is_given():
    cases = (Case(([3, 1],), [3, 1]), Case(([3, 1],), [3, 1]))
    assert run([body("y = list(x); x.clear(); return y", cases)]) == ["passed"]


def test_the_order_of_a_set_is_the_same_in_every_process():
    words = [f"word{n}" for n in range(20)]
    ask = body("return list(set(x))", (Case((words,), None),))
    programs = [f"return list(set(x)) == {words!r}"] * 2
    first = [run([body(text, (Case((words,), False),))]) for text in programs]
    assert first == [["passed"]] * 2
    code = f"print(list(set({words!r})))"
    seen = {
        subprocess.run(
            [sys.executable, "-s", "-S", "-c", code], env={"PYTHONHASHSEED": "0"}, capture_output=True, check=True
        ).stdout
        for _ in range(2)
    }
    order = eval(seen.pop().decode())
    assert seen == set()
    assert run([body("return list(set(x))", (Case((words,), order),))]) == ["passed"]
    assert run([ask]) == ["wrong"]


# What ends a process, and what does not


def test_a_program_that_ends_its_process_does_not_disturb_the_others():
    good = body("return x + 1")
    bad = {
        "while True: pass": "timeout",
        # Signals that Python handles would wait for the end of such a call.
        "return sum(range(10**9))": "timeout",
        "return [0] * x * 10**9 * 9": "memory",
        "return f(x)": "error:RecursionError",
    }
    mixed = [candidate for text in bad for candidate in (body(text), good)]
    wanted = [word for found in bad.values() for word in (found, "passed")]
    assert run(mixed, QUICK) == wanted


def test_memory_taken_bit_by_bit_is_bounded_too():
    grow = "y = [x]\n    while True: y = y + y\n"
    assert verdict(f"def f(x):\n    {grow}", limits=Limits(cpu_seconds=20)) == "memory"


def test_time_is_that_of_the_processor_so_it_is_shared_by_all_cases_and_not_by_programs():
    work = "for _ in range(40000): x\n    return 0"
    many = tuple(Case((n,), 0) for n in range(3_000))
    assert run([body(work, many), body(work, (Case((1,), 0),))], QUICK) == ["timeout", "passed"]


def test_what_is_returned_is_bounded():
    large = [
        "'a' * 9999 * 9999 * x",
        "list(range(10**6))",
        "x << 64 << 64 << 64 << 64 << 64 * 64",
        "[[y] * 99 for y in range(9999)]",
    ]
    assert run([body(f"return {text}") for text in large]) == ["error:TooLarge"] * 4
    assert run([body("y = []; y.append(y); return y")]) == ["error:TooLarge"]


def test_a_power_that_never_ends_is_stopped():
    assert run([body("y = 9**x; return 9**y", (Case((9,), 0),))], QUICK) == ["timeout"]


def test_only_plain_values_come_back():
    for text in ("(i for i in [x])", "f", "len", "range(x)", "map(str, [x])", "[lambda: 2]", "{}.keys()"):
        assert verdict(f"def f(x):\n    return {text}\n") == "error:NotPlain"


def test_a_value_that_only_looks_plain_is_not():
    class Always(int):
        def __eq__(self, other):
            return True

    named_list = type("list", (list,), {})
    for value in (Always(1), named_list(), [Always(1)], {2: Always(1)}):
        with pytest.raises(NotPlain):
            pack(value)
    for packed in (["int", 1], ["Always", "1"], ["dict", [1]], [], 3, {"a": 1}):
        with pytest.raises((NotPlain, TypeError)):
            unpack(packed)


# What is not let in


REFUSED = {
    "import os": "Import",
    "from os import fork": "ImportFrom",
    "class Equal:\n    def __eq__(self, other): return True\n": "ClassDef",
    "def f(x):\n    try:\n        while True: pass\n    except BaseException: return 2\n": "Try",
    "def f(x):\n    with x: pass\n": "With",
    "def f(x):\n    yield 2\n": "Yield",
    "async def f(x): return 2": "AsyncFunctionDef",
    "def f(x):\n    global f\n": "Global",
    "def f(x):\n    del x\n": "Delete",
    "def f(x):\n    raise x\n": "Raise",
    "@f\ndef f(x): return 2": "decorator",
    "().__class__.__bases__": "__bases__",
    "f'{x.__class__}'": "__class__",
    "'{0.__class__}'.format(x)": ".format",
    "'{0.__class__}'.format_map(x)": ".format_map",
    "str.format": ".format",
    "x.append = len": ".append",
    "__builtins__": "__builtins__",
    "def __f(x): return 2": "__f",
    "lambda __class__: 2": "__class__",
    "len(__x=1)": "__x",
    "x.gi_frame": ".gi_frame",
    "b'a'": "bytes",
    "2j": "complex",
    "...": "ellipsis",
    "10**10**9": "Pow",
    "2**65": "Pow",
    "1 << 99999": "LShift",
    "'a' * 10**9 * 2": None,
    "'a' * 1000000000": "Mult",
    "1000000001": "integer",
    "[0 for a in x for b in x for c in x for d in x for e in x]": "loops",
    "[[[[[0 for a in x] for b in x] for c in x] for d in x] for e in x]": "loops",
    "数 = 2": "identifier",
    "x = 2\0": "null_byte",
    "-" * 3_000 + "1": "depth",
    "x" + "[0]" * 200: "depth",
    "(" * 50 + "2" + ")" * 50: None,
    "1" + "+1" * 1_900: "depth",
    "x = [" + "1," * 1_900 + "]": "size",
    "x = 2\n" * 1_000: "length",
    "match 1:\n    case 1: pass": "Match",
}


@pytest.mark.parametrize("source", REFUSED, ids=lambda source: source[:30])
def test_a_program_is_refused_for_what_is_not_on_the_list(source):
    assert refusal(source) == REFUSED[source]


def test_a_refused_program_is_not_run_and_the_word_is_in_the_verdict():
    assert verdict("while True: pass\nimport os") == "refused:Import"


def test_a_fullwidth_spelling_of_a_name_is_the_name():
    # Python normalises identifiers, so the letters that were checked are those that run.
    assert refusal("ｏｐｅｎ") is None
    assert verdict("def f(x): return ｏｐｅｎ") == "refused:open"
    assert verdict("def f(x): return ＿＿import＿＿") == "error:SyntaxError"


@pytest.mark.parametrize(
    "name", ["open", "eval", "getattr", "type", "object", "print", "globals", "breakpoint", "input"]
)
def test_a_builtin_that_is_not_on_the_list_is_refused_when_it_is_used(name):
    assert verdict(f"def f(x): return {name}(x)") == f"refused:{name}"
    assert verdict(f"def f(x):\n    {name} = 1\n    return x + {name}\n") == "passed"


def test_one_program_cannot_change_the_builtins_of_the_next():
    overwrite = Candidate("len = lambda y: 7\ndef f(x): return len([])", "f", (Case((1,), 7),))
    assert run([overwrite, body("return len([x, x])")]) == ["passed", "passed"]


def test_the_process_itself_can_open_write_and_start_nothing(tmp_path):
    """The second line of defence, without the first: the limits alone, on a program of the test's own."""
    (tmp_path / "secret").write_text("s")
    (tmp_path / "secret").chmod(0o644)
    tmp_path.chmod(0o777)
    program = f"""
import os, sys
sys.path.insert(0, {os.path.dirname(process.runner.__file__)!r})
import runner
already = os.open({str(tmp_path / "open")!r}, os.O_CREAT | os.O_WRONLY, 0o666)
runner.give_up_rights(2**28)
def tried(what, *args):
    try: return what(*args)
    except (OSError, MemoryError) as error: return type(error).__name__
done = [tried(open, {str(tmp_path / "secret")!r}), tried(os.fork), tried(os.pipe), tried(bytearray, 2**29)]
import resource
done.append(resource.getrlimit(resource.RLIMIT_CORE) == (0, 0))
try: resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99)); done.append("raised")
except (ValueError, OSError): done.append("kept")
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
done.append(tried(os.write, already, b"x"))
done.append(os.geteuid() != 0)
os.write(1, repr(done).encode())
"""
    shown = subprocess.run([sys.executable, "-S", "-B", "-c", program], capture_output=True, text=True, check=False)
    refused = ["OSError", "BlockingIOError", "OSError", "MemoryError", True, "kept", "OSError", True]
    assert eval(shown.stdout) == refused, shown.stderr


def test_the_process_gets_no_variable_of_this_one(monkeypatch):
    seen = {}

    class Stop(Exception):
        pass

    def popen(command, **how):
        seen.update(how, command=command)
        raise Stop

    monkeypatch.setenv("SECRET", "s")
    monkeypatch.setattr(process.subprocess, "Popen", popen)
    with pytest.raises(Stop):
        run([body("return 2")])
    assert seen["env"] == {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}
    assert seen["close_fds"]
    assert seen["start_new_session"]
    assert {"-s", "-S"} <= set(seen["command"])


# A process that does not keep to the protocol: what a program could do if it got past the whitelist


@pytest.mark.parametrize(
    ("does", "wanted"),
    [
        ("os._exit(0)", "crashed"),
        ("os.kill(os.getpid(), 9)", "crashed"),
        ('print(\'{"values": [], "error": null}\', flush=True)', "crashed"),
        ('print(\'{"values": [2], "error": null}\', flush=True)', "crashed"),
        ("print('passed', flush=True)", "crashed"),
        ("print('[' * 100000, flush=True)", "crashed"),
        ("print('a' * 5_000_000, flush=True)", "crashed"),
        ("os.write(1, b'\\xff\\xfe\\n')", "crashed"),
        ('print(\'{"values": [["int", "2"]], "error": null}\', flush=True)', "passed"),
        ("time.sleep(60)", "timeout"),
    ],
)
def test_whatever_the_process_answers_the_next_program_is_judged_by_a_fresh_one(tmp_path, monkeypatch, does, wanted):
    real, fake = process.runner.__file__, tmp_path / "runner.py"
    fake.write_text(f"import os, sys, time\nprint('{{\"ready\": true}}', flush=True)\nsys.stdin.readline()\n{does}\n")
    monkeypatch.setattr(process.runner, "__file__", str(fake))
    limits = Limits(cpu_seconds=0.1, wall_seconds=1)
    started = process._Worker(limits)
    candidate = body("return 2")
    assert started.judge(candidate, process._job(candidate)) == wanted
    started.close()
    monkeypatch.setattr(process.runner, "__file__", real)
    assert run([candidate], QUICK) == ["passed"]


# Errors of the caller


def test_what_cannot_be_judged_is_said_before_anything_runs():
    with pytest.raises(ConfigError, match="has no case"):
        run([body("return 2", ())])
    with pytest.raises(ConfigError, match=r"'f' is not a plain value .*NotPlain object"):
        run([body("return 2", (Case((object(),), 2),))])
    with pytest.raises(ConfigError, match="memory_bytes=1,000: the interpreter itself"):
        Limits(memory_bytes=1_000)
    with pytest.raises(ConfigError, match="must be positive"):
        Limits(cpu_seconds=0)
    assert run([]) == []


def test_a_system_without_limits_and_a_process_that_does_not_start_are_named(monkeypatch, tmp_path):
    broken = tmp_path / "runner.py"
    broken.write_text("import no_such_module")
    monkeypatch.setattr(process.runner, "__file__", str(broken))
    with pytest.raises(ConfigError, match=r"does not start \(exit 1\)"):
        run([body("return 2")])
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfigError, match="this is darwin"):
        run([body("return 2")])


# Asserts as cases


def test_asserts_become_cases():
    lines = ["assert add(2, -3) == -1", "  assert add([1], (2,)) == {'a': None}\nassert add(1, 2) is True"]
    cases = parse_asserts(lines, "add")
    assert cases == (Case((2, -3), -1), Case(([1], (2,)), {"a": None}), Case((1, 2), True))


@pytest.mark.parametrize(
    "line",
    [
        "assert add(2) > 1",
        "assert other(2) == 1",
        "assert add(x) == 1",
        "assert add(2, y=3) == 1",
        "assert add(2) == open('a')",
        "add(2)",
        "import os",
        "assert not add(2)",
    ],
)
def test_a_line_of_another_form_is_quoted(line):
    with pytest.raises(InputError, match=r"is not of the form `assert add\(literals\) == literal`"):
        parse_asserts([line], "add")


def test_a_line_that_is_no_python_and_one_that_is_too_long_are_named():
    with pytest.raises(InputError, match=r"is not Python \(SyntaxError\)"):
        parse_asserts(["assert ("], "add")
    with pytest.raises(InputError, match="has 5,000 characters; 4,000 can be read"):
        parse_asserts(["#" * 5_000], "add")


def test_a_program_and_a_page_give_the_function_and_its_cases():
    program = "# Task\ndef add(a):\n    return a\n\n\ndef test_add():\n    assert add(1) == 1\n\nassert add(2) == 2\n"
    found = parse_program(program)
    assert (found.source, found.entry_point) == ("def add(a):\n    return a\n", "add")
    assert sorted(case.args for case in found.cases) == [(1,), (2,)]
    text = "# Title\n\n```python\ndef add(a):\n    return a\n```\n\nThen\n\n```python\nassert add(1) == 1\n```\n"
    assert parse_program(text) == Candidate("def add(a):\n    return a\n", "add", (Case((1,), 1),))
    with pytest.raises(InputError, match="has no assert"):
        parse_program("def add(a):\n    return a\n")
    with pytest.raises(InputError, match="has no function"):
        parse_program("assert 1 == 1")
