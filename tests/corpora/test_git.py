"""Dates of commits, whatever a clone looks like; a hostile one runs nothing and stops nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from opencoder_lib.corpora import collect_folder, git, git_program
from opencoder_lib.corpora.git import Remote, remote_of
from opencoder_lib.corpora.inputs import open_inputs
from opencoder_lib.corpora.reading import Notes
from opencoder_lib.corpora.tables import Problems
from opencoder_lib.corpora.units import Unit
from opencoder_lib.seeds import rng

WHO = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="names, pipes and owners of POSIX")


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def run_git(place: Path, *command: str, **variables: str) -> bytes:
    line = ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", "-C", str(place), *command]
    return subprocess.run(line, env=os.environ | WHO | variables, check=True, capture_output=True, timeout=60).stdout


def commit(place: Path, day: int, files: Mapping[str | bytes, str | None], *how: str) -> None:
    """A commit on that day of January 2024, of these files; null deletes one."""
    for name, text in files.items():
        path = os.path.join(os.fsencode(place), os.fsencode(name))
        if text is None:
            os.unlink(path)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as stream:
            stream.write(text)
    run_git(place, "add", "-A")
    date = f"2024-01-{day:02d}T12:00:00+02:00"
    # The author's date is another: a patch may lie about for years.
    run_git(
        place,
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "x",
        *how,
        GIT_COMMITTER_DATE=date,
        GIT_AUTHOR_DATE="2001-01-01T00:00:00Z",
    )


def clone_of(place: Path, *commits: Mapping[str | bytes, str | None]) -> Path:
    """A repository with a commit a day, from the first of January on."""
    place.mkdir(parents=True, exist_ok=True)
    run_git(place, "init", "-q")
    for day, files in enumerate(commits, 1):
        commit(place, day, files)
    return place


def days(root: Path) -> dict[str, int | None]:
    """The day on which each file was last committed."""
    return {path: at and at.day for path, at in collect_folder(root).files.select("path", "committed_at").iter_rows()}


def notes(root: Path) -> dict[str, int]:
    return dict(collect_folder(root).notes.select("what", "n").iter_rows())


# What a date is


def test_each_file_has_the_time_of_the_newest_commit_that_changed_it_in_utc(tmp_path):
    clone_of(tmp_path / "one", {"a.py": "1", "sub/b.py": "1"}, {"sub/b.py": "2"}, {})
    found = collect_folder(tmp_path).files
    assert found.select("path", "origin", "committed_at").rows() == [
        ("one/a.py", "git", datetime(2024, 1, 1, 10)),
        ("one/sub/b.py", "git", datetime(2024, 1, 2, 10)),
    ]


def test_what_is_not_in_the_last_commit_has_no_date_and_the_same_origin(tmp_path):
    root = clone_of(tmp_path / "one", {"a.py": "1", "gone.py": "1"}, {"gone.py": None})
    for name in ("new.py", "staged.py", "gone.py"):
        (root / name).write_text("here, and in no commit")
    run_git(root, "add", "staged.py")
    (root / "a.py").write_text("changed since")
    assert days(root) == {"a.py": 1, "gone.py": None, "new.py": None, "staged.py": None}
    before = collect_folder(root).files
    commit(root, 9, {})
    after = collect_folder(root).files
    assert before["origin"].unique().to_list() == ["git"]
    assert after["doc_id"].to_list() == before["doc_id"].to_list()
    assert after["committed_at"].dt.day().to_list() == [9, 9, 9, 9]


def test_a_renamed_file_dates_from_its_renaming(tmp_path):
    clone_of(tmp_path / "one", {"old.py": "the same text"}, {"old.py": None, "new.py": "the same text"})
    assert days(tmp_path) == {"one/new.py": 2}


def test_a_merge_changes_what_it_made_different_from_all_its_parents_and_nothing_else(tmp_path):
    root = clone_of(tmp_path / "one", {"both.py": "1", "side.py": "1", "main.py": "1"})
    run_git(root, "checkout", "-q", "-b", "side")
    commit(root, 2, {"both.py": "side", "side.py": "2"})
    run_git(root, "checkout", "-q", "main")
    commit(root, 3, {"both.py": "main", "main.py": "3"})
    run_git(root, "merge", "-q", "-s", "ours", "--no-commit", "side")
    run_git(root, "checkout", "-q", "side", "--", "side.py")
    commit(root, 4, {"both.py": "neither"})
    assert days(root) == {"both.py": 4, "main.py": 3, "side.py": 2}


@needs_posix
def test_odd_names_are_found_and_no_name_is_taken_for_a_commit(tmp_path):
    names = [
        b"with space.py",
        b"quote'\"\\.py",
        b"new\nline.py",
        b"\n1.py",
        b"\xff\xfe.py",
        b":(top)x.py",
        b"--all",
        b"-",
    ]
    names += ["ü.py".encode(), b"\xc3\x28.py", b"*.py", b"d/\n", b"d/[a]", f"{'a' * 40} 1700000000".encode(), b" "]
    root = clone_of(tmp_path / "one", {"a.py": "1"}, {"a.py": "2"}, dict.fromkeys(names, "1"))
    run_git(root, "checkout", "-q", "-b", "side", "HEAD~1")
    commit(root, 4, dict.fromkeys(names, "2"))
    run_git(root, "checkout", "-q", "main")
    run_git(root, "merge", "-q", "-s", "ours", "--no-commit", "side")
    commit(root, 5, dict.fromkeys(names, "merged"))
    found = days(root)
    assert found.pop("a.py") == 2
    assert set(found.values()) == {5}
    assert len(found) == len(names)


def test_dates_are_those_that_git_gives_for_each_file_by_itself(tmp_path):
    draws, files = rng(0, "git history"), [f"{'ab'[at % 2]}/{at}.py" for at in range(12)]
    commits, there = [dict.fromkeys(files, "0")], set(files)
    for at in range(1, 28):
        changed = {
            files[n]: None if files[n] in there and n % 3 == at % 3 else str(at) for n in draws.integers(0, 12, 3)
        }
        there = {name for name in (there | changed.keys()) if changed.get(name, "") is not None}
        commits.append(changed)
    root = clone_of(tmp_path / "one", *commits)
    expected = {
        name: int(run_git(root, "log", "-1", "--format=%cd", "--date=format:%d", "--", name)) for name in sorted(there)
    }
    assert days(root) == expected
    assert len(set(expected.values())) > 3


def test_an_impossible_date_is_noted_and_the_others_stand(tmp_path):
    root = clone_of(tmp_path / "one", {"a.py": "1", "b.py": "1"})
    for second in (253_402_300_800, 2**62):
        (root / "b.py").write_text(str(second))
        run_git(root, "add", "-A")
        tree = run_git(root, "write-tree").decode().strip()
        data = f"tree {tree}\nparent {run_git(root, 'rev-parse', 'HEAD').decode().strip()}\n"
        data += f"author a <a@b> 0 +0000\ncommitter a <a@b> {second} +0000\n\nx\n"
        line = ["git", "-C", str(root), "hash-object", "-t", "commit", "-w", "--literally", "--stdin"]
        made = subprocess.run(line, input=data.encode(), check=True, capture_output=True, timeout=60).stdout
        run_git(root, "update-ref", "HEAD", made.decode().strip())
        assert days(root) == {"a.py": 1, "b.py": None}
        assert notes(root) == {git.IMPOSSIBLE: 1}


# Kinds of repositories


def test_repositories_are_named_by_their_folders_and_each_file_belongs_to_the_innermost(tmp_path):
    clone_of(tmp_path / "owner" / "one", {"a.py": "1"}, {"a.py": "2"})
    clone_of(tmp_path / "owner" / "one" / "inner", {"b.py": "1"})
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "c.py").write_text("1")
    (tmp_path / "d.py").write_text("1")
    found = collect_folder(tmp_path).files.select("repo", "path", "origin", "committed_at").rows()
    assert [(repo, path, origin, at and at.day) for repo, path, origin, at in found] == [
        (tmp_path.name, "d.py", "folder", None),
        ("owner/one", "owner/one/a.py", "git", 2),
        ("owner/one/inner", "owner/one/inner/b.py", "git", 1),
        ("plain", "plain/c.py", "folder", None),
    ]
    inside = collect_folder(tmp_path / "owner" / "one").files.select("repo", "path").rows()
    assert inside == [("one", "a.py"), ("one/inner", "inner/b.py")]


def test_a_submodule_is_a_repository_with_dates_of_its_own(tmp_path):
    library = clone_of(tmp_path / "library", {"lib.py": "1"})
    root = clone_of(tmp_path / "work" / "one", {"a.py": "1"})
    run_git(root, "submodule", "--quiet", "add", str(library), "vendored")
    commit(root, 5, {})
    assert (root / "vendored" / ".git").is_file()
    found = collect_folder(root.parent).files.select("repo", "path", "origin", "committed_at").rows()
    assert [(repo, path, origin, at.day) for repo, path, origin, at in found] == [
        ("one", "one/.gitmodules", "git", 5),
        ("one", "one/a.py", "git", 1),
        ("one/vendored", "one/vendored/lib.py", "git", 1),
    ]


def test_a_worktree_is_read_at_its_own_head(tmp_path):
    root = clone_of(tmp_path / "main", {"a.py": "1"}, {"a.py": "2"})
    run_git(root, "worktree", "add", "-q", str(tmp_path / "work" / "other"), "HEAD~1")
    assert days(tmp_path / "work") == {"other/a.py": 1}
    assert notes(tmp_path / "work") == {}


def test_a_bare_repository_is_noted_and_not_entered(tmp_path):
    clone_of(tmp_path / "from", {"a.py": "1"})
    run_git(tmp_path, "clone", "-q", "--bare", "from", "work/bare.git")
    (tmp_path / "work" / "HEAD").write_text("a file of this name makes no repository")
    (tmp_path / "work" / "objects").mkdir()
    found = collect_folder(tmp_path / "work")
    assert found.files["path"].to_list() == ["HEAD"]
    assert found.skipped.rows() == [("bare git repository", 1, "bare.git")]
    assert found.notes.rows() == [(git.BARE, 1, str(tmp_path / "work" / "bare.git"))]


def test_a_shallow_clone_gives_the_dates_it_has_and_a_note_of_how_many_may_be_older(tmp_path):
    clone_of(tmp_path / "from", {"old.py": "1", "a.py": "1"}, {"a.py": "2"}, {"a.py": "3"}, {"b.py": "4"})
    run_git(tmp_path, "clone", "-q", "--depth", "2", (tmp_path / "from").as_uri(), "work/one")
    assert days(tmp_path / "work") == {"one/a.py": 3, "one/b.py": 4, "one/old.py": 3}
    assert notes(tmp_path / "work") == {git.SHALLOW: 1, git.AT_BOUNDARY: 2}


def test_a_clone_without_commits_has_files_without_dates_and_a_note(tmp_path):
    for name in ("one", "two"):
        clone_of(tmp_path / name)
        (tmp_path / name / "a.py").write_text("x = 1\n")
    found = collect_folder(tmp_path)
    assert found.files.select("path", "origin", "text", "committed_at").rows() == [
        ("one/a.py", "git", "x = 1\n", None),
        ("two/a.py", "git", "x = 1\n", None),
    ]
    assert found.notes.rows() == [("repository without commits", 2, str(tmp_path / "one"))]


def test_hashes_of_either_length_and_a_detached_head_are_read(tmp_path):
    (tmp_path / "long").mkdir()
    run_git(tmp_path / "long", "init", "-q", "--object-format=sha256")
    commit(tmp_path / "long", 7, {"a.py": "1"})
    run_git(clone_of(tmp_path / "loose", {"a.py": "1"}, {"a.py": "2"}), "checkout", "-q", "--detach", "HEAD~1")
    assert days(tmp_path) == {"long/a.py": 7, "loose/a.py": 1}


def test_broken_repositories_are_noted_with_what_git_says_and_the_others_read(tmp_path):
    for name in ("config", "elsewhere", "fine", "head", "missing", "empty", "newer"):
        clone_of(tmp_path / name, {"a.py": "1"}, {"b.py": "1"})
    (tmp_path / "config" / ".git" / "config").write_text("[core\n")
    run_git(tmp_path / "elsewhere", "config", "core.worktree", str(tmp_path))
    (tmp_path / "head" / ".git" / "HEAD").write_bytes(b"")
    shutil.rmtree(tmp_path / "missing" / ".git" / "objects")
    (tmp_path / "missing" / ".git" / "objects").mkdir()
    shutil.rmtree(tmp_path / "empty" / ".git")
    (tmp_path / "empty" / ".git").mkdir()
    run_git(tmp_path / "newer", "config", "core.repositoryformatversion", "99")
    found = days(tmp_path)
    assert {path: day for path, day in found.items() if day} == {"fine/a.py": 1, "fine/b.py": 2}
    assert len(found) == 14
    said = notes(tmp_path)
    assert said.pop(git.ELSEWHERE) == 1
    assert all(what.startswith("repository that git cannot read: ") for what in said)
    assert sum(said.values()) == 5
    assert "repository that git cannot read: bad config line 1 in file .git/config" in said


def test_where_history_breaks_off_the_dates_before_it_stay(tmp_path):
    root = clone_of(tmp_path / "one", {"old.py": "1"}, {"a.py": "2"}, {"b.py": "3"})
    first = run_git(root, "rev-parse", "HEAD~2").decode().strip()
    (root / ".git" / "objects" / first[:2] / first[2:]).unlink()
    assert days(root) == {"a.py": None, "b.py": 3, "old.py": None}
    ((what, n),) = notes(root).items()
    assert what.startswith("repository that git cannot read: ")
    assert first not in what
    assert n == 1


def test_a_broken_clone_does_not_take_the_dates_of_the_repository_around_it(tmp_path):
    outer = clone_of(tmp_path / "outer", {"work/one/a.py": "1"})
    (outer / "work" / "one" / ".git").mkdir()
    assert days(outer / "work") == {"one/a.py": None}
    colon = clone_of(tmp_path / "x:y", {"work/one/a.py": "1"})
    (colon / "work" / "one" / ".git").mkdir()
    assert days(colon / "work") == {"one/a.py": None}
    assert notes(colon / "work") == {git.ELSEWHERE: 1}


def test_without_the_program_git_the_run_goes_on_with_one_note(tmp_path, monkeypatch):
    for name in ("one", "two"):
        clone_of(tmp_path / name, {"a.py": "1"})
    with_git = collect_folder(tmp_path).files
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    found = collect_folder(tmp_path, stars=lambda remote, folder: len(folder))
    assert found.files["committed_at"].null_count() == 2
    assert found.files["doc_id"].to_list() == with_git["doc_id"].to_list()
    assert found.notes.select("what", "n").rows() == [(git.NO_GIT, 2)]


@needs_posix
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only the superuser gives files away")
def test_a_repository_of_another_user_is_read_only_where_the_user_trusts_it(tmp_path):
    root = clone_of(tmp_path / "work" / "one", {"a.py": "1"})
    for path in [root, *root.rglob("*")]:
        os.chown(path, 54321, 54321)
    assert days(root.parent) == {"one/a.py": None}
    assert notes(root.parent) == {git.NOT_TRUSTED: 1}
    (tmp_path / "home").mkdir()
    run_git(tmp_path, "config", "--global", "--add", "safe.directory", str(root))
    assert days(root.parent) == {"one/a.py": 1}


def test_the_surroundings_name_no_other_repository(tmp_path, monkeypatch):
    clone_of(tmp_path / "work" / "one", {"a.py": "1"})
    other = clone_of(tmp_path / "other", {"a.py": "1"}, {"a.py": "2"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nonsense")
    assert days(tmp_path / "work") == {"one/a.py": 1}


# Hostile repositories


@needs_posix
def test_a_hostile_repository_runs_nothing(tmp_path):
    root = clone_of(
        tmp_path / "work" / "one", {"a.py": "1", ".gitattributes": "*.py diff=evil filter=evil"}, {"a.py": "2"}
    )
    mark, script = tmp_path / "mark", tmp_path / "script"
    script.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{mark}'\nexit 0\n")
    script.chmod(0o755)
    for name in ("post-index-change", "reference-transaction", "post-checkout", "pre-auto-gc", "fsmonitor-watchman"):
        shutil.copy(script, root / ".git" / "hooks" / name)
    # A signed commit, so that there is something to check.
    run_git(root, "config", "gpg.program", str(script))
    signed = (
        run_git(root, "cat-file", "commit", "HEAD")
        .decode()
        .replace("\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n", 1)
    )
    line = ["git", "-C", str(root), "hash-object", "-t", "commit", "-w", "--stdin"]
    made = subprocess.run(line, input=signed.encode(), check=True, capture_output=True, timeout=60).stdout
    run_git(root, "-c", "core.hooksPath=/dev/null", "update-ref", "HEAD", made.decode().strip())
    for setting in (
        *(
            "core.fsmonitor",
            "core.pager",
            "pager.log",
            "diff.external",
            "core.sshCommand",
            "core.askPass",
            "core.editor",
        ),
        *("diff.evil.command", "diff.evil.textconv", "filter.evil.clean", "filter.evil.smudge", "gpg.ssh.program"),
        *("gpg.openpgp.program", "credential.helper", "interactive.diffFilter", "sequence.editor", "core.gitProxy"),
    ):
        run_git(root, "config", setting, str(script))
    for verb in ("log", "ls-tree", "rev-parse", "config"):
        run_git(root, "config", f"alias.{verb}", f"!{script}")
    for setting in ("log.showSignature", "color.ui", "log.follow", "log.decorate", "diff.renames", "diff.relative"):
        run_git(root, "config", setting, "always" if setting == "color.ui" else "true")
    run_git(root, "config", "log.showRoot", "false")
    run_git(root, "config", "core.hooksPath", str(root / ".git" / "hooks"))
    run_git(root, "config", "diff.orderFile", "nowhere")
    mark.unlink(missing_ok=True)
    # The trap is set: git by itself runs the script.
    subprocess.run(["git", "-C", str(root), "log", "-p"], capture_output=True, check=False, timeout=60)
    subprocess.run(["git", "-C", str(root), "status"], capture_output=True, check=False, timeout=60)
    assert mark.read_text().count("\n") >= 3
    mark.unlink()
    assert days(tmp_path / "work") == {"one/.gitattributes": 1, "one/a.py": 2}
    assert notes(tmp_path / "work") == {}
    assert not mark.exists()


@needs_posix
@pytest.mark.parametrize("address", ["script", "file", "https"])
def test_what_a_partial_clone_left_out_is_not_fetched(tmp_path, address):
    source = clone_of(tmp_path / "from", {"d/a.py": "1"}, {"d/a.py": "2"})
    run_git(source, "config", "uploadpack.allowFilter", "true")
    run_git(tmp_path, "clone", "-q", "--filter=tree:0", source.as_uri(), "work/one")
    root, mark = tmp_path / "work" / "one", tmp_path / "mark"
    run_git(source, "config", "uploadpack.packObjectsHook", f"touch '{mark}'; false")
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch '{mark}'\nexec git-upload-pack \"$@\"\n")
    script.chmod(0o755)
    run_git(root, "config", "remote.origin.uploadpack", str(script))
    run_git(root, "config", "protocol.allow", "always")
    run_git(root, "config", "protocol.ext.allow", "always")
    urls = {"script": f"ext::{script} %S", "file": source.as_uri(), "https": "https://127.0.0.1:9/owner/name"}
    run_git(root, "config", "remote.origin.url", urls[address])
    if address == "file":
        # The trap is set: git by itself fetches.
        copy = shutil.copytree(root, tmp_path / "copy", symlinks=True)
        run_git(copy, "log", "--name-only")
        assert mark.exists()
        mark.unlink()
    packs = sorted((root / ".git" / "objects").rglob("*"))
    found = days(tmp_path / "work")
    assert found["one/d/a.py"] in (None, 2)
    assert len(notes(tmp_path / "work")) == 1
    assert not mark.exists()
    assert sorted((root / ".git" / "objects").rglob("*")) == packs


def test_a_clone_without_the_texts_of_its_history_has_all_dates(tmp_path):
    source = clone_of(tmp_path / "from", {"a.py": "1", "b.py": "1"}, {"a.py": "2"})
    run_git(source, "config", "uploadpack.allowFilter", "true")
    run_git(tmp_path, "clone", "-q", "--filter=blob:none", source.as_uri(), "work/one")
    shutil.rmtree(source)
    assert days(tmp_path / "work") == {"one/a.py": 2, "one/b.py": 1}
    assert notes(tmp_path / "work") == {}


@needs_posix
def test_a_pipe_in_the_place_of_a_file_ends_the_reading_of_one_repository_only(tmp_path, monkeypatch):
    monkeypatch.setattr(git_program, "SILENCE_SECONDS", 0.5)
    root = clone_of(tmp_path / "one", {"a.py": "1"})
    (root / ".git" / "config").unlink()
    os.mkfifo(root / ".git" / "config")
    clone_of(tmp_path / "two", {"a.py": "1"})
    assert days(tmp_path) == {"one/a.py": None, "two/a.py": 1}
    assert notes(tmp_path) == {"repository that git cannot read: git said nothing for 0.5 s": 1}


def bomb(root: Path, levels: int) -> str:
    """A commit of ten to the power of `levels` files, in as many trees."""
    inner, kind, mode = run_git(root, "rev-parse", "HEAD:a.py").decode().strip(), "blob", "100644"
    for _ in range(levels):
        lines = "".join(f"{mode} {kind} {inner}\t{at}\n" for at in range(10))
        line = ["git", "-C", str(root), "mktree"]
        done = subprocess.run(line, input=lines.encode(), capture_output=True, check=True, timeout=60)
        inner, kind, mode = done.stdout.decode().strip(), "tree", "040000"
    return run_git(root, "commit-tree", inner, "-m", "bomb").decode().strip()


def test_more_files_than_can_be_are_given_up(tmp_path, monkeypatch):
    root = clone_of(tmp_path / "one", {"a.py": "1"})
    before = run_git(root, "rev-parse", "HEAD").decode().strip()
    run_git(root, "update-ref", "HEAD", bomb(root, 4))
    monkeypatch.setattr(git, "MAX_TRACKED", 10**4 - 1)
    assert notes(tmp_path) == {git.TOO_MANY: 1}
    # The same among the changes of an earlier commit.
    tree = run_git(root, "rev-parse", f"{before}^{{tree}}").decode().strip()
    after = run_git(root, "commit-tree", tree, "-p", "HEAD", "-m", "x").decode().strip()
    run_git(root, "update-ref", "HEAD", after)
    assert notes(tmp_path) == {}
    monkeypatch.setattr(git, "MAX_CHANGES", 10**4 - 1)
    assert notes(tmp_path) == {git.TOO_MANY: 1}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited on Linux")
def test_more_changes_than_memory_holds_end_the_reading_of_one_repository_only(tmp_path, monkeypatch):
    monkeypatch.setattr(git_program, "MAX_MEMORY", 100 << 20)
    root = clone_of(tmp_path / "one", {"a.py": "1"}, {"b.py": "1"})
    last = run_git(root, "rev-parse", "HEAD^{tree}").decode().strip()
    for tree, parent in ((last, bomb(root, 12)), (last, "HEAD")):
        after = run_git(root, "commit-tree", tree, "-p", parent, "-m", "x").decode().strip()
        run_git(root, "update-ref", "HEAD", after)
    ((what, n),) = notes(tmp_path).items()
    assert what.startswith(git.UNREADABLE)
    assert "out of memory" in what.lower()
    assert n == 1


# Inputs


def test_folders_patterns_and_single_files_agree_on_dates_and_ids(tmp_path, monkeypatch):
    clone_of(tmp_path / "work" / "one", {"a.py": "1", "sub/b.py": "1"}, {"a.py": "2"})
    clone_of(tmp_path / "work" / "two", {"c.py": "1"})
    monkeypatch.chdir(tmp_path)

    def found(*paths: str) -> list[tuple]:
        rows = [shard.read() for shard in open_inputs(paths).shards()]
        return [row for part in rows for row in part.select("path", "repo", "origin", "doc_id", "committed_at").rows()]

    whole = found("work")
    assert found("work/**/*.py") == whole
    assert whole == collect_folder("work").files.select("path", "repo", "origin", "doc_id", "committed_at").rows()
    assert found("work/one/a.py", "work/one/sub") == [
        ("a.py", "one", "git", found("work/one")[0][3], datetime(2024, 1, 2, 10)),
        # What lies above an input is not looked at.
        ("b.py", "sub", "folder", found("work/one/sub")[0][3], None),
    ]


@pytest.mark.parametrize("max_bytes", [1, 10**6])
def test_shards_units_and_the_folder_agree_on_every_column(tmp_path, max_bytes):
    clone_of(tmp_path / "one", {"a.py": "1", "b.md": "b"}, {"a.py": "22"})
    clone_of(tmp_path / "one" / "inner", {"a.py": "333"})
    (tmp_path / "one" / "new.py").write_text("4444")
    (tmp_path / "plain.py").write_text("55555")

    def stars(remote: Remote | None, folder: str) -> int | None:
        return {"one": 7}.get(folder)

    expected = collect_folder(tmp_path, stars=stars).files
    inputs = open_inputs([str(tmp_path)], stars=stars)
    assert pl.concat([shard.read() for shard in inputs.shards(max_bytes)]).equals(expected)
    units = [Unit.from_json(unit.to_json()) for unit in inputs.units(max_bytes)]
    frames = [rows for unit in units for rows in unit.frames(max_bytes, Problems())]
    wanted = ["path", "repo", "origin", "stars", "committed_at", "text"]
    found = pl.concat(frames).select(wanted).cast({"origin": expected.schema["origin"]})
    assert found.equals(expected.select(wanted))
    assert found["committed_at"].null_count() == 2
    assert found["stars"].null_count() == 2


def test_the_fingerprint_and_the_keys_of_shards_change_with_a_date_alone(tmp_path):
    root = clone_of(tmp_path / "one", {"a.py": "1"})

    def seen() -> tuple[str, str]:
        inputs = open_inputs([str(root)])
        return inputs.fingerprint(), next(inputs.shards()).key

    before = seen()
    assert seen() == before
    commit(root, 2, {}, "--amend")
    assert not set(seen()) & set(before)


def test_files_given_one_by_one_cost_one_reading_of_their_repository(tmp_path, monkeypatch):
    root = clone_of(tmp_path / "one", {f"{at}.py": "1" for at in range(20)})
    opened, really = [], git.WorkingTree.__init__

    def counted(self, *about):
        opened.append(about)
        really(self, *about)

    monkeypatch.setattr(git.WorkingTree, "__init__", counted)
    open_inputs([str(root / f"{at}.py") for at in range(20)])
    assert len(opened) == 1


def test_notes_of_all_inputs_are_counted(tmp_path):
    for place in ("x/one", "y/one"):
        clone_of(tmp_path / place)
        (tmp_path / place / "a.py").write_text("")
    inputs = open_inputs([str(tmp_path / "x"), str(tmp_path / "y" / "*")])
    assert inputs.notes == {"repository without commits": 2}
    assert inputs.noted.frame()["example"].to_list() == [str(tmp_path / "x" / "one")]


def test_a_note_said_twice_of_one_place_counts_once():
    found = Notes()
    for where, n in (("b", 2), ("a", 1), ("b", 2)):
        found.note("file without a date", where, n)
    assert found.counts() == {"file without a date": 3}
    assert found.frame().rows() == [("file without a date", 3, "a")]


# Where a clone comes from


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/Owner/name.git", ("github.com", "Owner/name")),
        ("https://user:secret@github.com/owner/name", ("github.com", "owner/name")),
        ("https://ghp_secret@www.github.com/owner/name/", ("github.com", "owner/name")),
        ("git@github.com:owner/name.git", ("github.com", "owner/name")),
        ("github.com:owner/na.me", ("github.com", "owner/na.me")),
        ("ssh://git@github.com/owner/name.git", ("github.com", "owner/name")),
        ("ssh://git@ssh.github.com:443/owner/name.git", ("github.com", "owner/name")),
        ("git+ssh://git@github.com/owner/name", ("github.com", "owner/name")),
        ("git://GitHub.com/owner/name.git", ("github.com", "owner/name")),
        ("https://gitlab.com/group/sub/name.git", ("gitlab.com", "group/sub/name")),
        ("/srv/git/name.git", None),
        ("../owner/name.git", None),
        ("file:///srv/git/owner/name.git", None),
        ("C:/work/name", None),
        ("https://github.com/name", None),
        ("https://github.com/owner/../x", None),
        ("https://github.com/owner/name%2F..%2F..", None),
        ("https://github.com/owner/na me", None),
        ("https://[", None),
        ("ext::sh -c touch% mark", None),
        ("user:secret@host:owner/name", None),
        ("", None),
        (b"https://github.com/owner/\xff", None),
    ],
)
def test_the_address_of_a_clone_gives_host_and_name_and_no_password(url, expected):
    assert remote_of(url) == (expected and Remote(*expected))


def test_a_second_of_1970_is_utc_without_a_zone():
    second = int(datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC).timestamp())
    assert git.moment(second) == datetime(2024, 2, 29, 23, 59, 59)
    assert git.moment(None) is None
