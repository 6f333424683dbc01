"""Files with planted personal data and secrets of known kinds, and near misses: what recall is measured on.

Every value is drawn from the seed and belongs to nobody. The code around it is that of generated.py.
"""

import base64
import json
import string
from collections.abc import Callable, Iterator

import polars as pl
from numpy.random import Generator

from opencoder_lib import seeds
from opencoder_lib.corpora.generated import LANGUAGES, Words, markdown_page
from opencoder_lib.corpora.planted import FIRST_DAY, LICENSE
from opencoder_lib.files import new_files

NUM_FILES = 200
# Kinds of one file; every kind is planted in turn, so each occurs about equally often.
KINDS_PER_FILE, NEAR_MISSES_PER_FILE = 3, 3
LETTERS, HEX = string.ascii_letters + string.digits, "0123456789abcdef"
PEM_LINES = 3
# Written in two pieces, as every prefix below, so that no scanner takes this file for a leak.
DASHES = "-" * 5


def plant_sensitive(seed: int = 0) -> pl.DataFrame:
    """Some 200 files of Python, JavaScript, C, YAML, .env and Markdown as a file frame; the seed decides.

    Extra columns: `planted_kinds` (what was planted, one entry an occurrence, sorted) and `near_misses` (how many
    values only look like it).
    """
    rows = [_file(seed, at) for at in range(NUM_FILES)]
    frame = new_files([{name: value for name, value in row.items() if name not in EXTRA} for row in rows])
    extra = [pl.Series(name, [row[name] for row in rows], dtype=dtype) for name, dtype in EXTRA.items()]
    return frame.with_columns(extra)


EXTRA = {"planted_kinds": pl.List(pl.String), "near_misses": pl.Int64}


def _file(seed: int, at: int) -> dict:
    rng = seeds.rng(seed, "sensitive", at)
    extension = list(FORMS)[at % len(FORMS)]
    kinds = [list(VALUES)[(at * KINDS_PER_FILE + step) % len(VALUES)] for step in range(KINDS_PER_FILE)]
    wanted = [(statement, VALUES[kind](Draw(rng))) for kind in kinds for statement in [STATEMENTS[kind]]]
    near = [NEAR_MISSES[(at * NEAR_MISSES_PER_FILE + step) % len(NEAR_MISSES)] for step in range(NEAR_MISSES_PER_FILE)]
    pairs = [*wanted, *near]
    pairs = [pairs[int(place)] for place in rng.permutation(len(pairs))]
    name = ".env" if extension == "env" else f"{Words(rng).snake()}.{extension}"
    return {
        **{"path": f"{at:03d}/{name}", "repo": "planted/sensitive", "origin": "planted"},
        **{"license": LICENSE, "stars": 10, "committed_at": FIRST_DAY},
        "text": "".join(_text(rng, extension, pairs)),
        "planted_kinds": sorted(kinds),
        "near_misses": len(near),
    }


def _text(rng: Generator, extension: str, pairs: list[tuple[str, str]]) -> Iterator[str]:
    """Code of the file's language, then one statement a value."""
    if extension in LANGUAGES:
        yield LANGUAGES[extension](rng, 2)
    elif extension == "md":
        yield markdown_page(rng, 1)
    for name, value in pairs:
        yield "\n" + FORMS[extension](name, value) + "\n"


def _quoted(value: str) -> str:
    return '"' + value.replace("\n", "\\n") + '"'


# How each language says that `name` is `value`. A name with a blank in it is a remark.
FORMS: dict[str, Callable[[str, str], str]] = {
    "py": lambda name, value: f"# {name}: {value}" if " " in name else f"{name} = {_quoted(value)}",
    "js": lambda name, value: f"// {name}: {value}" if " " in name else f"const {name} = {_quoted(value)};",
    "c": lambda name, value: f"/* {name}: {value} */" if " " in name else f"static char *{name} = {_quoted(value)};",
    "yaml": lambda name, value: f"# {name}: {value}" if " " in name else f"{name}: {_quoted(value)}",
    "env": lambda name, value: f"# {name}: {value}" if " " in name else f"{name.upper()}={_quoted(value)}",
    "md": lambda name, value: f"{name}: `{value}`" if " " in name else f"    {name} = {_quoted(value)}",
}


class Draw:
    """Random values of the shapes that secrets have."""

    def __init__(self, rng: Generator):
        self.rng, self.words = rng, Words(rng)

    def of(self, alphabet: str, length: int) -> str:
        """`length` characters, among them a digit, a small and a capital letter where the alphabet has them."""
        drawn = [alphabet[int(at)] for at in self.rng.integers(len(alphabet), size=length)]
        for place, needed in enumerate((string.digits, string.ascii_lowercase, string.ascii_uppercase)):
            known = [sign for sign in alphabet if sign in needed]
            if known:
                drawn[length // 2 + place] = known[int(self.rng.integers(len(known)))]
        return "".join(drawn)

    def number(self, low: int, high: int) -> int:
        """From low to high."""
        return self.words.number(low, high)

    def base64_of(self, text: str) -> str:
        """Base64 for URLs, without its padding."""
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def password(self) -> str:
        """Letters and digits, and a sign among them."""
        return f"{self.of(LETTERS, 6)}{'!#+'[self.number(0, 2)]}{self.of(LETTERS, 6)}"

    def host(self) -> str:
        """A host name."""
        return "-".join(self.words.snake().split("_")[:2]) + "." + self.words.pick(["de", "io", "org", "co.uk", "net"])

    def private_key(self) -> str:
        """A block of PEM."""
        lines = [self.of(LETTERS + "+/", 64) for _ in range(PEM_LINES)]
        return "\n".join([f"{DASHES}BEGIN PRIVATE KEY{DASHES}", *lines, f"{DASHES}END PRIVATE KEY{DASHES}"])

    def jwt(self) -> str:
        """A signed token about a word."""
        head, body = ({"alg": "HS256", "typ": "JWT"}, {"sub": self.words.snake()})
        return ".".join([self.base64_of(json.dumps(head)), self.base64_of(json.dumps(body)), self.of(LETTERS, 43)])

    def ipv6(self) -> str:
        """An address of an allocated block."""
        return ":".join(["2a01", "4f8", *(f"{self.number(0x100, 0xFFFF):x}" for _ in range(6))])


# What each kind's value is, and what it is assigned to. A name with a blank makes a remark.
VALUES: dict[str, Callable[[Draw], str]] = {
    "email": lambda d: f"{d.words.pick(['mira', 'tomas', 'lee.k', 'o_brandt'])}@{d.host()}",
    "ipv4": lambda d: f"{d.number(80, 95)}.{d.number(40, 250)}.{d.number(0, 255)}.{d.number(1, 254)}",
    "ipv6": Draw.ipv6,
    "private_key": Draw.private_key,
    "aws_key_id": lambda d: "AK" + "IA" + d.of(string.ascii_uppercase + "234567", 16),
    "aws_secret_key": lambda d: d.of(LETTERS, 40),
    "google_key": lambda d: "AI" + "za" + d.of(LETTERS, 35),
    "azure_key": lambda d: f"AccountName=lamp;AccountKey={d.of(LETTERS, 86)}==;EndpointSuffix=core.windows.net",
    "github_token": lambda d: "gh" + "p_" + d.of(LETTERS, 36),
    "gitlab_token": lambda d: "gl" + "pat-" + d.of(LETTERS, 20),
    "slack_token": lambda d: "xo" + f"xb-{d.of(string.digits, 12)}-{d.of(LETTERS, 24)}",
    "slack_webhook": lambda d: (
        f"https://hooks.slack.com/services/T{d.of(string.ascii_uppercase + string.digits, 8)}/"
        f"B{d.of(string.ascii_uppercase + string.digits, 8)}/{d.of(LETTERS, 24)}"
    ),
    "discord_token": lambda d: f"M{d.of(LETTERS, 23)}.{d.of(LETTERS, 6)}.{d.of(LETTERS, 27)}",
    "telegram_token": lambda d: f"{d.of(string.digits, 10)}:AA{d.of(LETTERS, 33)}",
    "stripe_key": lambda d: "sk" + "_live_" + d.of(LETTERS, 24),
    "npm_token": lambda d: "np" + "m_" + d.of(LETTERS, 36),
    "pypi_token": lambda d: "py" + "pi-AgEIcHlwaS5vcmc" + d.of(LETTERS, 70),
    "twilio_key": lambda d: "S" + "K" + d.of(HEX, 32),
    "sendgrid_key": lambda d: f"S{'G.'}{d.of(LETTERS, 22)}.{d.of(LETTERS, 43)}",
    "openai_key": lambda d: "sk" + f"-{d.of(LETTERS, 20)}T3Blbk{'FJ'}{d.of(LETTERS, 20)}",
    "anthropic_key": lambda d: "sk" + f"-ant-api03-{d.of(LETTERS, 93)}AA",
    "huggingface_token": lambda d: "h" + f"f_{d.of(LETTERS, 34)}",
    "provider_token": lambda d: "dop" + f"_v1_{d.of(HEX, 64)}",
    "jwt": Draw.jwt,
    "url_password": lambda d: f"postgres://app:{d.of(LETTERS, 12)}@{d.host()}:5432/app",
    "connection_password": lambda d: f"Server=db;User Id=sa;Password={d.of(LETTERS, 12)};Encrypt=true",
    "password": Draw.password,
    "secret": lambda d: d.of(HEX, 32),
}
STATEMENTS: dict[str, str] = {kind: kind for kind in VALUES} | {
    **{"email": "written by", "ipv4": "upstream_host", "ipv6": "peer", "private_key": "pem", "jwt": "session_of_mira"},
    **{"password": "db_password", "secret": "client_secret", "url_password": "database", "azure_key": "storage"},
    **{"connection_password": "connection", "slack_webhook": "hook", "aws_secret_key": "aws_secret_access_key"},
    **{"google_key": "maps", "stripe_key": "payments", "twilio_key": "twilio", "discord_token": "discord_bot"},
}
# (name, value): values that have the shape of a kind or a name that promises one, and are to stay as they are.
NEAR_MISSES: list[tuple[str, str]] = [
    ("written by", "alice@example.com"),
    ("clone from", "git@github.com:acme/tool.git"),
    ("release", "4.11.20.3"),
    ("loopback", "127.0.0.1"),
    ("netmask", "255.255.255.0"),
    ("resolver", "8.8.8.8"),
    ("documentation", "2001:db8::8a2e:370:7334"),
    ("oid", "1.3.6.1.4.1.311.10"),
    ("commit", "9fceb02d0ae598e95dc970b74767f19372d61af8"),
    ("uuid", "f47ac10b-58cc-4372-a567-0e02b2c3d479"),
    ("db_password", "changeme"),
    ("db_password", "${DB_PASSWORD}"),
    ("password_label", "Password2:"),
    ("password_file", "/run/secrets/db1"),
    ("api_key", "YOUR_API_KEY_1234567890"),
    ("token_type", "bearer"),
    ("next_token", "IDENTIFIER"),
    ("database", "postgres://user:password@localhost/db"),
    ("aws_key_id", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("sprite", "logo@2x.png"),
    ("package", "@angular/core@12.0.0"),
    ("begins with", f"{DASHES}BEGIN PRIVATE KEY{DASHES}"),
    ("integrity", "sha512-2uJmPQ6rCQd7YcVqLq1wTzUuZ0f3gK0k9kqJm0l8X4e5r9v3b1zQ=="),
]
