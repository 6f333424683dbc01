"""The checks that tell a secret from a word about secrets: of the value, and of the name it is assigned to."""

import re
from urllib.parse import unquote

from opencoder_lib.refine.pii.checks import Find, Words, check

LONGEST_PASSWORD, LONGEST_SECRET = 80, 300
# Chunks of characters: words, numbers, single letters. A random string has many for its length: of 62 letters and
# digits 0.6 a character, hexadecimal 0.5; names made of words have 0.1 to 0.25.
_CHUNKS = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}(?![a-z])|[0-9]+|[A-Za-z]|[^A-Za-z0-9._:/\s-]")
MIN_CHUNKS_PER_CHARACTER, MIN_OF_LETTERS_ALONE = 0.28, 0.4
_NAME_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# Where a value is put in later, or asked from elsewhere.
_FILLED_IN = re.compile(
    r"^\$|\$[{(]|\$[A-Z_]{3,}|\{\{|\}\}|\{[\w.]*\}|#\{|%[({]|%-?\d*[sdv]\b|%\w+%|<[^<>]*>"
    r"|^\[.*\]$|^ENC\[|^!|^&|^\*|@[\w.]+@$|`|^vault:"
)
_TYPED_RUNS = (
    "0123456789",
    "1234567",
    "abcdefg",
    "12345",
    "7654321",
    "fedcba",
    "qwerty",
    "deadbeef",
    "cafebabe",
    "asdf",
)
_DIGITS_FOR_LETTERS = str.maketrans("@0$31457", "aoseiast")


@check
def not_a_placeholder(find: Find, words: Words) -> bool:
    """Not a stand-in: changeme, your-key, ${VAR}, <key>, xxxx, one character again and again, a run of the keyboard."""
    value = re.sub(r"\\\\[nrt]", "", unquote(find.value)).lower()
    bare = re.sub(r"[^a-z]", "", value)
    if _FILLED_IN.search(find.value) or any(part in bare for part in words["placeholder_parts"]):
        return False
    # p@ssw0rd is no better than password.
    spelt = re.sub(r"[^a-z]", "", value.translate(_DIGITS_FOR_LETTERS))
    if {bare, spelt} & words["known_passwords"] or "password" in spelt:
        return False
    if any(run in value and 5 * len(run) >= len(value) for run in _TYPED_RUNS):
        return False
    return not re.search(r"x{5}|(?<![a-z0-9])x{3}|\*{3}|\.{3}|0{6}|1{6}", value) and len(set(value)) > 3


@check
def not_the_user(find: Find, _: Words) -> bool:
    """The password in a URL is not the name of its user: postgres:postgres@ is a default."""
    user = re.search(r"//([^/:]*):$", find.before)
    return user is None or user[1].lower() != find.value.lower()


@check
def names_a_secret(find: Find, words: Words) -> bool:
    """The name ends with the secret itself: db_password, password2, secretKeyBase; not password_file, token_type."""
    name = [word.lower() for word in _NAME_WORDS.findall(find.name)]
    # The last word that says secret decides; what follows must not turn it into something about a secret.
    at = next((at for at in reversed(range(len(name))) if _says_secret(name, at, words)), None)
    if at is None:
        return False
    after = name[at + 1 :]
    return all(word.isdigit() or word in words["may_follow"] for word in after) and not set(name) & words["not_secret"]


def _says_secret(name: list[str], at: int, words: Words) -> bool:
    pair = "".join(name[max(0, at - 1) : at + 1])
    return any(word.endswith(end) for word in (name[at], pair) for end in words["secret_words"])


@check
def password_like(find: Find, _: Words) -> bool:
    """5 to 80 characters without a blank, no word, identifier, path, version or label: some digit or special sign."""
    value = find.value
    if not 5 <= len(value) <= LONGEST_PASSWORD or re.search(r"\s|://|^[~.]*/|^\\|^[v^~]?\d+\.\d+\.\d", value):
        return False
    # Letters with dots, dashes, slashes: a name of something. A sign at the end alone makes it a label: `Password:`.
    return not re.fullmatch(r"[^\W\d_]+(?:[-_.:/,][^\W\d_]*)*[?!.:*]*", value) and not _is_call(value)


@check
def url_password_like(find: Find, _: Words) -> bool:
    """At least 4 characters, which may be a word: what stands between `:` and `@` in a URL is a password."""
    return 4 <= len(find.value) <= LONGEST_SECRET and not _is_call(find.value)


@check
def random_looking(find: Find, _: Words) -> bool:
    """16 to 300 characters without a blank, in which letters, digits and signs change too often for words."""
    value = find.value
    if not 16 <= len(value) <= LONGEST_SECRET or re.search(r"\s|://|^[~.]*/", value) or _is_call(value):
        return False
    # A public address of a contract, which the word token often stands beside.
    if re.fullmatch(r"0x[0-9A-Fa-f]{40}", value):
        return False
    chunks = len(_CHUNKS.findall(value)) / len(value)
    if re.search(r"[0-9]", value) and re.search(r"[A-Za-z]", value):
        # A chance run of digits says nothing against a hash: no word is written in hexadecimal.
        return chunks >= MIN_CHUNKS_PER_CHARACTER or bool(re.fullmatch(r"[0-9A-Fa-f]{32,}", value))
    return bool(re.search(r"[a-z]", value) and re.search(r"[A-Z]", value)) and chunks >= MIN_OF_LETTERS_ALONE


@check
def varied(find: Find, _: Words) -> bool:
    """At least 8 different characters: keys are random, and stand-ins of the same shape are not."""
    return len(set(find.value)) >= 8


def _is_call(value: str) -> bool:
    """Code that gets a value: os.environ[...], getpass(), process.env.X, config.get(...)."""
    return bool(re.search(r"^[\w.$>-]+(?:\(.*|\[.*\])$|environ|getenv|process\.env|getpass", value))
