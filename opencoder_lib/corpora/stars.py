"""Stars of repositories: from a table of the user's, or from GitHub.

What `open_inputs` and `collect_folder` take as `stars` is a function: where a clone comes from (or null) and the name
of its folder -> its stars, or null. `stars_of(read_stars("stars.csv"))` is one, `GitHub(token)` is another.
"""

import csv
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from opencoder_lib import __version__
from opencoder_lib.corpora.git import Remote
from opencoder_lib.errors import InputError

StarsOf = Callable[[Remote | None, str], int | None]
NO_STARS = "repository without stars"
# What a table may call the two, ours first, then GitHub's.
NAMES, NUMBERS = ("repo", "full_name", "name"), ("stars", "stargazers_count")
MAX_STARS = 2**31 - 1
API, SERVER = "https://api.github.com", "https://github.com"
TIMEOUT_SECONDS, MAX_WAIT_SECONDS, ATTEMPTS = 30, 60, 5
MAX_ANSWER = 1 << 20


def read_stars(path: str | Path) -> dict[str, int | None]:
    """Stars by repository, from a CSV file with a column `repo` and a column `stars` (or `name`, `stargazers_count`).

    Names are given back in small letters: owner/name, or that of a folder. An empty number is null.
    Raises InputError naming the line for a number that is none, a missing name, and a name that was there before.
    """
    found: dict[str, int | None] = {}
    lines: dict[str, int] = {}
    for number, name, stars in _rows(path):
        key = name.lower()
        if not key:
            raise InputError(
                f"Line {number} of {str(path)!r} names no repository. Write owner/name, or a folder's name."
            )
        if stars and not (stars.isascii() and stars.isdigit() and int(stars) <= MAX_STARS):
            raise InputError(
                f"Line {number} of {str(path)!r}: {stars!r} is no number of stars for {name!r}. Write a whole number "
                f"from 0 to {MAX_STARS:,}, without separators, or leave it empty."
            )
        if key in found:
            raise InputError(
                f"Line {number} of {str(path)!r} names {name!r} again, after line {lines[key]} (in any capitals). "
                "keep one of them."
            )
        found[key], lines[key] = int(stars) if stars else None, number
    return found


def _rows(path: str | Path) -> Iterator[tuple[int, str, str]]:
    """(line, name, stars) of each row. Raises InputError for what is not such a table."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream, strict=True)
            header = table.fieldnames or []
            name = next((known for known in NAMES if known in header), None)
            stars = next((known for known in NUMBERS if known in header), None)
            if name is None or stars is None:
                raise InputError(
                    f"The first line of {str(path)!r} must name the columns 'repo' and 'stars' (or 'name' and "
                    f"'stargazers_count'); it has: {', '.join(header) or 'nothing'}."
                )
            for row in table:
                if None in row or row[name] is None or row[stars] is None:
                    raise InputError(f"Line {table.line_num} of {str(path)!r} has not the {len(header)} columns named.")
                yield table.line_num, row[name].strip(), row[stars].strip()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        what = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None) or error
        raise InputError(f"The stars in {str(path)!r} cannot be read ({what}).") from None


def stars_of(table: Mapping[str, int | None]) -> StarsOf:
    """Stars by a table of `read_stars`: under the clone's owner/name, else under the folder's name."""

    def look_up(remote: Remote | None, folder: str) -> int | None:
        names = [remote.path] if remote else []
        return next((table[name.lower()] for name in [*names, folder] if name.lower() in table), None)

    return look_up


class GitHub:
    """Stars by GitHub's REST API, each repository asked about once.

    Variables of the environment name a GitHub Enterprise server instead: GITHUB_API_URL and GITHUB_SERVER_URL. Clones
    from elsewhere have no stars. cache: a CSV file that grows with each answer, which a later run, or `read_stars`,
    takes instead of asking again. Answers change from day to day, the file does not.
    """

    def __init__(self, token: str | None = None, cache: Path | None = None):
        self._token = token if token is not None else os.environ.get("GITHUB_TOKEN", "")
        self._api = os.environ.get("GITHUB_API_URL", "").rstrip("/") or API
        self.host = urlsplit(os.environ.get("GITHUB_SERVER_URL") or SERVER).hostname
        self._cache, self.num_requests = cache, 0
        if not self._token or not self._token.isascii() or not self._token.isprintable():
            raise InputError(
                "Stars from GitHub need a token. Set GITHUB_TOKEN (one without any scope will do), or give the stars "
                "as a CSV file."
            )
        _check_address(self._api)
        self._known = read_stars(cache) if cache is not None and cache.exists() else {}
        self._opener = build_opener(_SameServer)

    def __call__(self, remote: Remote | None, folder: str) -> int | None:
        """The stars of the repository that a clone was made from; null if GitHub has none of that name."""
        if remote is None or remote.host != self.host or remote.path.count("/") != 1:
            return None
        name = remote.path.lower()
        if name not in self._known:
            self._known[name] = self._ask(name)
            if self._cache is not None:
                self._keep(name)
        return self._known[name]

    def _ask(self, name: str) -> int | None:
        for attempt in range(ATTEMPTS):
            status, headers, body = self._answer(name)
            if status == 200:
                return _stars_in(body, name)
            if status in (404, 410, 451) or (status == 403 and b'"block"' in body):
                return None  # gone, private, or blocked
            wait = _wait(status, headers, body, attempt)
            if wait is None:
                raise InputError(f"GitHub answers {status} about {name!r}. {self._way_out(status)}")
            if wait > MAX_WAIT_SECONDS or attempt == ATTEMPTS - 1:
                break
            time.sleep(wait)
        what = f"status {status}" if status else body.decode()
        raise InputError(
            f"GitHub does not tell the stars of {name!r} ({what}, asked {attempt + 1} times; it wants {wait:,.0f} s of "
            f"patience, and {MAX_WAIT_SECONDS} s is the limit). {self._later()}"
        )

    def _answer(self, name: str) -> tuple[int, Message, bytes]:
        """Status, headers and body; status 0 where nobody answers, with the reason as body."""
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token}",
            "User-Agent": f"opencoder/{__version__}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        request = Request(f"{self._api}/repos/{quote(name)}", headers=headers)
        self.num_requests += 1
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return answer.status, answer.headers, answer.read(MAX_ANSWER)
        except HTTPError as error:
            with error:
                return error.code, error.headers, error.read(MAX_ANSWER)
        except (OSError, HTTPException) as error:
            return 0, Message(), str(getattr(error, "reason", error) or type(error).__name__).encode()

    def _way_out(self, status: int) -> str:
        if status in (401, 403):
            return "The token in GITHUB_TOKEN is not valid, or may not read public repositories. Make another one."
        return f"Is {self._api} the address of its API? GITHUB_API_URL names it."

    def _later(self) -> str:
        kept = f"What is known is kept in {self._cache}. " if self._cache is not None else ""
        return f"{kept}Try again later, or give the stars as a CSV file."

    def _keep(self, name: str) -> None:
        is_new = not self._cache.exists()
        stars = self._known[name]
        line = f"{name},{'' if stars is None else stars}\r\n"
        try:
            # One write a line, so that a run that ends here leaves whole lines.
            with open(self._cache, "a", encoding="utf-8", newline="") as stream:
                stream.write("repo,stars\r\n" + line if is_new else line)
        except OSError as error:
            raise InputError(f"The stars cannot be kept in {str(self._cache)!r} ({error.strerror}).") from None


class _SameServer(HTTPRedirectHandler):
    """Follows a repository that was renamed, and takes the token to no other server."""

    def redirect_request(self, request, stream, code, message, headers, address):
        here, there = urlsplit(request.full_url), urlsplit(address)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            return None
        return super().redirect_request(request, stream, code, message, headers, address)


def _check_address(api: str) -> None:
    parts = urlsplit(api)
    is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise InputError(f"GITHUB_API_URL is {api!r}, and a token is sent over https only. Write https://...")


def _stars_in(body: bytes, name: str) -> int:
    try:
        stars = json.loads(body)["stargazers_count"]
    except (ValueError, LookupError, TypeError, RecursionError):
        stars = None
    if not isinstance(stars, int) or isinstance(stars, bool) or not 0 <= stars <= MAX_STARS:
        raise InputError(
            f"The answer about {name!r} has no stargazers_count. Is GITHUB_API_URL the address of GitHub's API?"
        )
    return stars


def _wait(status: int, headers: Message, body: bytes, attempt: int) -> float | None:
    """Seconds until asking again makes sense; null if it never does."""
    used_up = headers.get("x-ratelimit-remaining") == "0"
    limited = status == 429 or (
        status == 403 and (used_up or "retry-after" in headers or b"secondary rate limit" in body)
    )
    if status != 0 and status < 500 and not limited:
        return None
    after = headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    if after:
        try:
            return max(0.0, parsedate_to_datetime(after).timestamp() - time.time())
        except (TypeError, ValueError):
            pass
    reset = headers.get("x-ratelimit-reset", "")
    if limited and used_up and reset.isdigit():
        return max(0.0, float(reset) - time.time())
    # Without a word on when, GitHub asks for at least a minute.
    return 60.0 if limited else float(2**attempt)
