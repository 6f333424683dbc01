"""Stars from a table and from a server that speaks as GitHub does."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from opencoder_lib.corpora import collect_folder, stars
from opencoder_lib.corpora.git import Remote
from opencoder_lib.corpora.inputs import open_inputs
from opencoder_lib.corpora.stars import NO_STARS, GitHub, read_stars, stars_of
from opencoder_lib.errors import InputError

TOKEN = "ghp_a_secret"
Answer = tuple[int, dict[str, str], str]


def github_stars(repos: list[str], **how) -> dict[str, int | None]:
    """What GitHub says of repositories given as owner/name."""
    ask = GitHub(**how)
    return {repo: ask(Remote(ask.host, repo), repo) for repo in sorted(set(repos))}


def csv_file(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def project(root: Path, url: str | None) -> Path:
    """A folder with one file, and where there is an address, the .git of a clone from there, without commits."""
    root.mkdir(parents=True)
    (root / "a.py").write_text("x = 1\n")
    if url is not None:
        (root / ".git" / "objects").mkdir(parents=True)
        (root / ".git" / "refs").mkdir()
        (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        (root / ".git" / "config").write_text(
            f'[core]\n\trepositoryformatversion = 0\n[remote "origin"]\n\turl = {url}\n'
        )
    return root


# Tables


@pytest.mark.parametrize(
    "text",
    [
        "repo,stars\nOwner/One,5\nplain,0\nnone,\n",
        "\ufeffname,stargazers_count,language\r\nOwner/One, 5 ,C\r\nplain,0,\r\nnone,,C\r\n",
        'stars,repo\n5,"Owner/One"\n0,plain\n,none\n',
        "name,full_name,stargazers_count\none,Owner/One,5\nx,plain,0\nx,none,\n",
    ],
)
def test_a_table_gives_stars_by_name_in_small_letters(tmp_path, text):
    assert read_stars(csv_file(tmp_path / "s.csv", text)) == {"owner/one": 5, "plain": 0, "none": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"must name the columns 'repo' and 'stars' .*it has: nothing"),
        ("owner/one,5\n", r"must name the columns .*it has: owner/one, 5"),
        ("repo,count\n", r"it has: repo, count"),
        ("repo,stars\na/b,many\n", r"Line 2 of .*'many' is no number of stars for 'a/b'"),
        ("repo,stars\na/b,-1\n", r"Line 2 of .*'-1' is no number"),
        ("repo,stars\na/b,1.5\n", r"Line 2 of .*'1\.5' is no number"),
        ("repo,stars\na/b,²\n", r"Line 2 of .*is no number"),
        ("repo,stars\nc/d,7\na/b,2147483648\n", r"Line 3 of .*'2147483648'.*from 0 to 2,147,483,647"),
        ("repo,stars\na/b\n", r"Line 2 of .* has not the 2 columns"),
        ("repo,stars\na/b,1,2\n", r"Line 2 of .* has not the 2 columns"),
        ("repo,stars\n,1\n", r"Line 2 of .* names no repository"),
        ("repo,stars\na/b,1\nc/d,1\nA/B,2\n", r"Line 4 of .* names 'A/B' again, after line 2"),
        ('repo,stars\n"a/b,1\n', r"cannot be read \(unexpected end of data\)"),
    ],
)
def test_a_mistake_in_a_table_is_an_error_that_names_the_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_stars(csv_file(tmp_path / "s.csv", text))


def test_a_table_that_is_missing_or_not_utf8_is_a_clear_error(tmp_path):
    with pytest.raises(InputError, match=r"no\.csv' cannot be read \(No such file or directory\)"):
        read_stars(tmp_path / "no.csv")
    (tmp_path / "s.csv").write_bytes(b"repo,stars\n\xff,1\n")
    with pytest.raises(InputError, match="it is not UTF-8"):
        read_stars(tmp_path / "s.csv")


# Folders


def test_stars_are_found_by_where_a_clone_comes_from_else_by_its_folder(tmp_path):
    project(tmp_path / "by_address", "https://me:secret@github.com/Owner/One.git")
    project(tmp_path / "by_folder", "git@github.com:owner/unlisted")
    project(tmp_path / "both", "git@github.com:owner/one.git")
    project(tmp_path / "plain", None)
    project(tmp_path / "unknown", None)
    project(tmp_path / "owner" / "deep", "/srv/git/deep")
    table = {"owner/one": 5, "by_folder": 6, "both": 99, "plain": 7, "owner/deep": 8, "unknown": None}
    found = collect_folder(tmp_path, stars=stars_of(table))
    assert dict(found.files.select("repo", "stars").iter_rows()) == {
        "both": 5,
        "by_address": 5,
        "by_folder": 6,
        "owner/deep": 8,
        "plain": 7,
        "unknown": None,
    }
    assert (NO_STARS, 1, str(tmp_path / "unknown")) in found.notes.rows()
    assert "secret" not in str(found.notes.rows()) + found.files.write_json()


def test_repositories_without_stars_are_counted_once_each_and_only_when_asked_for(tmp_path):
    for name in ("one", "two"):
        project(tmp_path / name, None)
        (tmp_path / name / "b.py").write_text("")
    (tmp_path / "loose.py").write_text("")
    (tmp_path / "more.py").write_text("")
    inputs = open_inputs([str(tmp_path)], stars=stars_of({"two": 1}))
    assert inputs.notes == {NO_STARS: 2}
    assert open_inputs([str(tmp_path)]).notes == {}


def test_shards_and_units_have_the_stars_of_the_listing(tmp_path):
    project(tmp_path / "one", None)
    inputs = open_inputs([str(tmp_path)], stars=stars_of({"one": 2**31 - 1}))
    (shard,), (unit,) = inputs.shards(), inputs.units(10**6)
    assert shard.read()["stars"].to_list() == [2**31 - 1]
    assert unit.entries[0][-1] == 2**31 - 1


def test_the_fingerprint_changes_with_the_stars(tmp_path):
    project(tmp_path / "one", None)
    seen = {open_inputs([str(tmp_path)], stars=stars_of({"one": n})).fingerprint() for n in (1, 2, 1)}
    assert len(seen) == 2


# GitHub


class Server:
    """A server on this machine. answers: what it says about each path, the last one again and again."""

    def __init__(self, answers: dict[str, list[Answer]]):
        self.answers, self.asked, self.headers = answers, [], []

    def answer(self, path: str) -> Answer:
        found = self.answers.get(path, [(404, {}, '{"message": "Not Found"}')])
        return found.pop(0) if len(found) > 1 else found[0]


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    here = Server({})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            here.asked.append(self.path)
            here.headers.append(dict(self.headers))
            status, headers, body = here.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *about):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        here.address = f"http://127.0.0.1:{http.server_port}"
        monkeypatch.setenv("GITHUB_API_URL", here.address + "/")
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.delenv("GITHUB_SERVER_URL", raising=False)
        yield here
        http.shutdown()


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(stars.time, "sleep", found.append)
    return found


def has(n: int) -> Answer:
    return 200, {}, json.dumps({"full_name": "x/y", "stargazers_count": n})


def test_github_is_asked_once_for_each_repository_in_the_order_of_names(server):
    server.answers = {"/repos/b/b": [has(2)], "/repos/a/a": [has(0)]}
    assert github_stars(["b/b", "a/a", "c/gone", "b/b", "B/b"]) == {"B/b": 2, "a/a": 0, "b/b": 2, "c/gone": None}
    assert server.asked == ["/repos/b/b", "/repos/a/a", "/repos/c/gone"]
    sent = server.headers[0]
    assert sent["Authorization"] == f"Bearer {TOKEN}"
    assert sent["Accept"] == "application/vnd.github+json"
    assert sent["X-Github-Api-Version"] == "2022-11-28"
    assert sent["User-Agent"].startswith("opencoder/")


def test_clones_have_the_stars_of_where_they_come_from_and_those_from_elsewhere_none(server, tmp_path):
    project(tmp_path / "one", "git@github.com:owner/name.git")
    project(tmp_path / "other", "https://gitlab.com/owner/name.git")
    project(tmp_path / "local", "/srv/git/name")
    project(tmp_path / "plain", None)
    server.answers = {"/repos/owner/name": [has(12)]}
    found = collect_folder(tmp_path, stars=GitHub())
    assert dict(found.files.select("repo", "stars").iter_rows()) == {
        "local": None,
        "one": 12,
        "other": None,
        "plain": None,
    }
    assert server.asked == ["/repos/owner/name"]
    assert (NO_STARS, 3) in found.notes.select("what", "n").rows()


def test_answers_are_kept_in_a_table_that_is_not_asked_for_again(server, tmp_path):
    server.answers = {"/repos/a/a": [has(3)]}
    cache = tmp_path / "stars.csv"
    assert github_stars(["a/a", "b/b"], cache=cache) == {"a/a": 3, "b/b": None}
    assert cache.read_bytes() == b"repo,stars\r\na/a,3\r\nb/b,\r\n"
    assert read_stars(cache) == {"a/a": 3, "b/b": None}
    server.answers = {"/repos/c/c": [has(4)]}
    assert github_stars(["a/a", "b/b", "c/c"], cache=cache) == {"a/a": 3, "b/b": None, "c/c": 4}
    assert server.asked == ["/repos/a/a", "/repos/b/b", "/repos/c/c"]
    with pytest.raises(InputError, match=r"cannot be kept in '.*nowhere/stars\.csv'"):
        github_stars(["a/a"], cache=tmp_path / "nowhere" / "stars.csv")


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (500, {}, "", 1.0),
        (503, {"Retry-After": "7"}, "", 7.0),
        (429, {"Retry-After": "60"}, "", 60.0),
        (403, {"Retry-After": "0"}, "", 0.0),
        (403, {}, '{"message": "You have exceeded a secondary rate limit."}', 60.0),
    ],
)
def test_a_server_that_asks_for_patience_is_asked_again(server, waits, status, headers, body, expected):
    server.answers = {"/repos/a/a": [(status, headers, body), has(3)]}
    assert github_stars(["a/a"]) == {"a/a": 3}
    assert waits == [expected]


def test_a_time_to_come_back_is_waited_for(server, waits):
    soon = str(int(time.time()) + 30)
    used_up = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": soon}
    server.answers = {"/repos/a/a": [(403, used_up, ""), (429, {"Retry-After": formatdate(int(soon))}, ""), has(3)]}
    assert github_stars(["a/a"]) == {"a/a": 3}
    assert all(25 < wait <= 30 for wait in waits)
    assert len(waits) == 2


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "61"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 11}]
)
def test_who_asks_for_too_much_patience_is_not_waited_for_and_what_is_known_is_kept(server, waits, tmp_path, headers):
    server.answers = {"/repos/a/a": [has(3)], "/repos/b/b": [(403, headers, "")]}
    cache = tmp_path / "stars.csv"
    with pytest.raises(InputError, match=r"does not tell the stars of 'b/b' \(status 403, .*kept in .*stars\.csv.*CSV"):
        github_stars(["a/a", "b/b"], cache=cache)
    assert waits == []
    assert read_stars(cache) == {"a/a": 3}


def test_asking_ends(server, waits, monkeypatch):
    server.answers = {"/repos/a/a": [(502, {}, "")]}
    with pytest.raises(InputError, match=r"'a/a' \(status 502, asked 5 times"):
        github_stars(["a/a"])
    assert waits == [1.0, 2.0, 4.0, 8.0]
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"'a/a' \(.*refused.*, asked 5 times"):
        github_stars(["a/a"])


def test_a_repository_that_was_blocked_has_no_stars(server):
    blocked = '{"message": "Repository access blocked", "block": {"reason": "tos"}}'
    server.answers = {"/repos/a/a": [(403, {}, blocked)], "/repos/b/b": [(451, {}, "")]}
    assert github_stars(["a/a", "b/b"]) == {"a/a": None, "b/b": None}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            (401, {}, '{"message": "Bad credentials"}'),
            "answers 401 about 'a/a'. The token in GITHUB_TOKEN is not valid",
        ),
        ((403, {"X-RateLimit-Remaining": "9"}, ""), "answers 403 about 'a/a'. The token in GITHUB_TOKEN is not valid"),
        ((400, {}, ""), "answers 400 .* the address of its API.*GITHUB_API_URL"),
        ((200, {}, "<html>"), "has no stargazers_count.*GITHUB_API_URL"),
        ((200, {}, '{"stargazers_count": true}'), "has no stargazers_count"),
        ((200, {}, '{"stargazers_count": -1}'), "has no stargazers_count"),
        ((200, {}, "[]"), "has no stargazers_count"),
    ],
)
def test_an_answer_that_is_none_is_a_clear_error_without_the_token(server, answer, message):
    server.answers = {"/repos/a/a": [answer]}
    with pytest.raises(InputError, match=message) as error:
        github_stars(["a/a"])
    assert TOKEN not in str(error.value)
    assert len(server.asked) == 1


def test_a_renamed_repository_is_followed_and_the_token_goes_to_no_other_server(server):
    server.answers = {
        "/repos/a/old": [(301, {"Location": f"{server.address}/repositories/7"}, "")],
        "/repositories/7": [has(9)],
        "/repos/b/b": [(302, {"Location": server.address.replace("127.0.0.1", "localhost") + "/repositories/7"}, "")],
    }
    assert github_stars(["a/old"]) == {"a/old": 9}
    assert server.headers[-1]["Authorization"] == f"Bearer {TOKEN}"
    with pytest.raises(InputError, match="answers 302"):
        github_stars(["b/b"])
    assert server.asked == ["/repos/a/old", "/repositories/7", "/repos/b/b"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"GITHUB_TOKEN": ""}, "need a token. Set GITHUB_TOKEN"),
        ({"GITHUB_TOKEN": "a\r\nX-Header: b"}, "need a token. Set GITHUB_TOKEN"),
        ({"GITHUB_API_URL": "http://example.org"}, "over https only"),
        ({"GITHUB_API_URL": "file:///etc"}, "over https only"),
    ],
)
def test_what_cannot_work_is_an_error_before_anybody_is_asked(server, monkeypatch, variables, message):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=message):
        GitHub()
    assert server.asked == []


def test_another_server_of_github_has_clones_of_its_own(server, monkeypatch):
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.example.org")
    server.answers = {"/repos/a/a": [has(1)]}
    ask: Callable[[Remote | None, str], int | None] = GitHub()
    assert ask(Remote("github.example.org", "a/a"), "x") == 1
    assert ask(Remote("github.com", "a/a"), "x") is None
    assert ask(Remote("github.example.org", "group/a/a"), "x") is None
