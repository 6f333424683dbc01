"""What a match has to pass beyond its pattern: the named checks of rules.toml.

A check takes a Find and the word lists of the rule file and says whether the value is to be redacted. It reads the
value and the bytes beside it and never passes them on.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

# How much of the line before and after a match a check may read: enough for a word, and linear whatever the line.
NEAR = 64
MOST_OF_AN_ADDRESS = 254
NUMBER_BEFORE = re.compile(r"(?:^|[^\w.])-?\d*\.\d+[ ,]$|[MmLlHhVvCcSsQqTtAaZz]-?\d+[ ,]$")
NUMBER_AFTER = re.compile(r"[ ,]-?\d*\.\d+")
Words = Mapping[str, frozenset[str]]


@dataclass(repr=False)
class Find:
    """A match: the value stands at data[start:end]; `name` is what it is assigned to, if the pattern says so.

    It has no repr: a value must not get into a message or a log.
    """

    data: bytes
    start: int
    end: int
    name: str = ""

    @cached_property
    def value(self) -> str:
        """The text that would be replaced."""
        return self.data[self.start : self.end].decode("utf-8", "replace")

    @cached_property
    def before(self) -> str:
        """At most NEAR bytes in front of the value, on its line."""
        near = self.data[max(0, self.start - NEAR) : self.start]
        return near[near.rfind(b"\n") + 1 :].decode("utf-8", "replace")

    @cached_property
    def after(self) -> str:
        """At most NEAR bytes behind the value, on its line."""
        return self.data[self.end : self.end + NEAR].partition(b"\n")[0].decode("utf-8", "replace")


Check = Callable[[Find, Words], bool]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Register a check under its name."""
    CHECKS[function.__name__] = function
    return function


@check
def plausible_domain(find: Find, words: Words) -> bool:
    """The domain ends in a known top-level domain, in one case, and its labels are no version or option."""
    # RFC 5321 allows 254 characters; what is longer is none, and the checks below would read it again and again.
    if len(find.value) > MOST_OF_AN_ADDRESS:
        return False
    domain = find.value.rpartition("@")[2]
    last = domain.rpartition(".")[2]
    labels_are_sound = all(label and label[0] != "-" and label[-1] != "-" for label in domain.split("."))
    return labels_are_sound and last.lower() in words["top_level"] and (last.islower() or last.isupper())


@check
def not_an_example_domain(find: Find, words: Words) -> bool:
    """The domain is none that documentation uses, nor below one."""
    labels = find.value.rpartition("@")[2].lower().split(".")
    ends = {".".join(labels[at:]) for at in range(len(labels))}
    return not ends & words["example_domains"] and not set(labels) & words["example_labels"]


@check
def not_automatic(find: Find, words: Words) -> bool:
    """Nobody reads what is sent to noreply, and nobody is called `your.name`."""
    local, _, domain = find.value.lower().rpartition("@")
    bare = re.sub(r"[^a-z]", "", local)
    return bare not in words["nobody"] and "noreply" not in bare and "noreply" not in domain


@check
def not_a_protocol_name(find: Find, words: Words) -> bool:
    """OpenSSH names its algorithms like addresses: aes128-gcm@openssh.com."""
    return find.value.rpartition("@")[2].lower() not in words["protocol_domains"]


@check
def not_a_template(find: Find, _: Words) -> bool:
    """What stands right before is no end of a variable, a path or a format: %s@x.com, {name}@x.com, mod/foo@x.io."""
    return find.before[-1:] not in tuple("%$@}])/&#")


@check
def not_a_login(find: Find, words: Words) -> bool:
    """It is no user of a host: git@host:path, ssh user@host, the user in a URL."""
    if find.value.partition("@")[0].lower() in words["login_users"] or re.match(r":(?:[~/]|[\w.-]+/)", find.after):
        return False
    token = re.split(r"[\s\"'<>(),]", find.before)[-1]
    in_url = "://" in token and not re.search(r"[/?#]", token.rpartition("://")[2])
    return not in_url and not re.search(r"\b(?:ssh|scp|sftp|rsync|ssh-copy-id)\b[^@]*$", find.before)


@check
def stands_alone(find: Find, _: Words) -> bool:
    """No letter, digit, colon or dot goes on with it, so it is no part of a longer number, name or host name."""
    # `addr:` in front and a port behind are no parts of it.
    before = re.sub(r"(?<![\w:.])\w*[g-z_]\w*:$", "", find.before, flags=re.IGNORECASE)
    after = re.sub(r"^:\d{1,5}\b(?![.:])", "", find.after)
    return not re.search(r"[\w.:]$|(?<!\d)-$", before) and not re.match(r"\w|[.:]\w|::|-[A-Za-z]", after)


@check
def public_ipv4(find: Find, words: Words) -> bool:
    """Four octets of an address in the public network that belongs to someone in particular."""
    try:
        address = ipaddress.IPv4Address(find.value)
    except ValueError:
        return False
    return address.is_global and not address.is_multicast and find.value not in words["resolvers"]


@check
def not_a_version(find: Find, words: Words) -> bool:
    """Neither its numbers nor its surroundings are those of a version, a section or an object identifier."""
    # Of random addresses one in 150 has fewer than two octets from 32 on; of versions and OIDs nearly all. An OID
    # begins with a number less than 3 and one less than 40.
    octets = [int(octet) for octet in find.value.split(".")]
    if sorted(octets)[-2] < 32 or (octets[0] < 3 and octets[1] < 40):
        return False
    # Numbers of a path in SVG stand close: c0 1.66 45.34.33.77 3s
    if NUMBER_BEFORE.search(find.before) or NUMBER_AFTER.match(find.after):
        return False
    if re.search(r"(?:[=<>~!^]=\s*[\"']?|[A-Za-z]/|\bv)$", find.before):
        return False
    said = re.findall(r"[a-z]+", find.before.lower())[-2:]
    return not any(word in words["version_words"] or word.endswith("version") for word in said)


@check
def not_a_made_up_address(find: Find, _: Words) -> bool:
    """Its digits are no pattern that someone typed: 11.22.33.44, 123.123.123.123, 12.34.56.78."""
    octets = find.value.split(".")
    digits = "".join(octets)
    doubled = all(len(set(octet)) == 1 for octet in octets)
    return not doubled and len(set(octets)) > 1 and digits not in "1234567890123456789"


@check
def public_ipv6(find: Find, words: Words) -> bool:
    """A global address that names a host: not documentation, no resolver, three groups or more."""
    try:
        address = ipaddress.IPv6Address(find.value)
    except ValueError:
        return False
    groups = [group for group in find.value.split(":") if group]
    known = find.value.lower() in words["resolvers"]
    return address.is_global and not known and len(groups) > 2 and any(character.isdigit() for character in find.value)


@check
def has_key_material(find: Find, _: Words) -> bool:
    """Between the two marks are at least 64 characters of base64, and little else."""
    body = find.value.split("-----")[2]
    material = sum(len(run) for run in re.findall(r"[A-Za-z0-9+/=]{16,}", body))
    return material >= 64 and material >= len(body) / 2


@check
def jwt_header(find: Find, _: Words) -> bool:
    """The first part is the base64 of a JSON object that names an algorithm."""
    head = find.value.partition(".")[0]
    try:
        return b'"alg"' in base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
    except (binascii.Error, ValueError):
        return False


@check
def basic_credentials(find: Find, _: Words) -> bool:
    """The base64 of `user:password` in printable characters."""
    try:
        plain = base64.b64decode(find.value + "=" * (-len(find.value) % 4))
    except (binascii.Error, ValueError):
        return False
    user, colon, password = plain.partition(b":")
    return bool(user and colon and password) and plain.isascii() and plain.decode().isprintable()
