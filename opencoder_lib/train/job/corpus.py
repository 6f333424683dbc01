"""The corpus of a run as tokens: found, tokenised once, and opened by every process.

    OUT/tokens/NAME-00000-KEY.safetensors   a part of source NAME; KEY changes with its files, tokenizer and settings
               held-out-KEY.jsonl           the documents that are measured
               tokenizer-KEY.json           a tokenizer that was trained here

Each appears whole or not at all, so a preparation that was cut off goes on with the part it was at.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from opencoder_lib import seeds
from opencoder_lib.durable import explained, replace_durably
from opencoder_lib.errors import ConfigError, CorruptArtifact, InputError
from opencoder_lib.train.job import texts
from opencoder_lib.train.job.config import Config, HeldOut
from opencoder_lib.train.job.drawing import Drawing, find_drawing
from opencoder_lib.train.job.joined import Joined
from opencoder_lib.train.job.sample import Sample, num_bytes, text_hash
from opencoder_lib.train.job.texts import read_rows
from opencoder_lib.train.packing import TokenFile, open_tokens, write_tokens
from opencoder_lib.train.tokenizer import fingerprint, load_tokenizer, train_tokenizer

# Small files share a part, so that a corpus of many files is not a folder of as many.
PART_BYTES = 256_000_000
# A tokenizer's sample is spread over this many files where there are as many.
SAMPLE_FILES = 64
# What a byte-level BPE of 16 to 96 thousand tokens reaches on code; for estimates only.
BYTES_PER_TOKEN = 3.2
Say = Callable[[str], Any]


@dataclass(frozen=True)
class Part:
    """Files that become one token file; a file of tokens is a part of its own and stays as it is."""

    source: str
    number: int
    files: tuple[Path, ...]
    text_column: str

    @property
    def is_tokens(self) -> bool:
        """Whether there is nothing to tokenise."""
        return texts.is_tokens(self.files[0])


@dataclass(frozen=True)
class Corpus:
    """What a run is trained and measured on. sources by name; held_out: texts, empty when none are asked for."""

    tokenizer: Tokenizer
    sources: dict[str, Joined]
    held_out: list[str]


@dataclass(frozen=True)
class Preparation:
    """The way from a configuration's files to a `Corpus` under OUT/tokens."""

    config: Config
    folder: Path
    parts: tuple[Part, ...]

    def text_bytes(self) -> int:
        """About how many bytes of text there are to tokenise."""
        return sum(texts.text_bytes(file, part.text_column) for part in self._of_text() for file in part.files)

    def estimated_tokens(self) -> int:
        """About how many tokens the corpus holds: counted where there are token files, else from bytes."""
        counted = sum(open_tokens(part.files[0]).num_tokens for part in self.parts if part.is_tokens)
        return counted + round(self.text_bytes() / BYTES_PER_TOKEN)

    def prepare(self, say: Say) -> Corpus:
        """Make what is not there yet, telling how far it is, and open it."""
        with explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            # Of a process that was killed; no other one is at work here.
            for leftover in self.folder.glob(".*.partial"):
                leftover.unlink()
        if self._drawing and self._drawing.note:
            say(f"note: {self._drawing.note}")
        tokenizer = self.tokenizer(say)
        todo = [part for part in self._of_text() if not self._is_done(part, tokenizer)]
        for number, part in enumerate(todo, 1):
            say(f"tokenising {part.source}: part {number} of {len(todo)}")
            if refused := self._tokenise(part, tokenizer):
                say(f"note: {refused} texts of {part.source} have no UTF-8 form and are left out")
        return self.open(tokenizer)

    def is_ready(self) -> bool:
        """Whether all that `prepare` makes is there."""
        try:
            tokenizer = self.tokenizer()
        except InputError:
            return False
        return all(self._is_done(part, tokenizer) for part in self._of_text())

    def open(self, tokenizer: Tokenizer | None = None) -> Corpus:
        """The corpus that `prepare` made. Raises ConfigError when a source is empty."""
        tokenizer = tokenizer or self.tokenizer()
        sources = {}
        for name in self.config.data.sources:
            files = [self._open(part, tokenizer) for part in self.parts if part.source == name]
            if not (files := [file for file in files if file is not None]):
                raise ConfigError(f"data.sources.{name} is empty: no file holds a text that is not held out.")
            sources[name] = Joined(tuple(files))
        return Corpus(tokenizer, sources, self._held_out_texts(tokenizer))

    def tokenizer(self, say: Say | None = None) -> Tokenizer:
        """The tokenizer that is named, or the one trained on the corpus; with `say` it is trained when it is not there.

        Raises ConfigError when its vocabulary is not the model's.
        """
        wanted = self.config.tokenizer
        if wanted.path is not None:
            path = Path(wanted.path)
            found = load_tokenizer(path / "tokenizer.json" if path.is_dir() else path)
        else:
            path = self.folder / f"tokenizer-{self._key(asdict(wanted), self._inputs(self._of_text()))}.json"
            if say and not path.is_file():
                say(f"training a tokenizer of {wanted.vocab_size:,} tokens")
                trained = train_tokenizer(self._sample(), wanted.vocab_size)
                replace_durably(path, lambda file: file.write(trained.to_str(pretty=True).encode()))
            found = load_tokenizer(path)
        check_vocabulary(found.get_vocab_size(), self.config.model.sizes().vocab)
        return found

    def _of_text(self) -> list[Part]:
        return [part for part in self.parts if not part.is_tokens]

    def _open(self, part: Part, tokenizer: Tokenizer) -> TokenFile | None:
        if part.is_tokens:
            return open_tokens(part.files[0], tokenizer)
        path = self._path(part, tokenizer)
        return None if _empty(path).exists() else open_tokens(path, tokenizer)

    def _is_done(self, part: Part, tokenizer: Tokenizer) -> bool:
        path = self._path(part, tokenizer)
        if _empty(path).exists():
            return True
        try:
            open_tokens(path)
        except (InputError, CorruptArtifact):
            return False
        return self._sampled(path).is_file() or self._frac() is None

    def _path(self, part: Part, tokenizer: Tokenizer) -> Path:
        key = self._key(part.text_column, self._held_out_key(), fingerprint(tokenizer), texts.identity_of(part.files))
        return self.folder / f"{part.source}-{part.number:05d}-{key}.safetensors"

    def _sampled(self, path: Path) -> Path:
        return path.with_suffix(".held-out.jsonl")

    def _frac(self) -> HeldOut | None:
        held_out = self.config.data.held_out
        return held_out if held_out is not None and held_out.frac is not None else None

    @cached_property
    def _drawing(self) -> Drawing | None:
        """How held-out documents are drawn; None where they are files of their own."""
        if (held_out := self._frac()) is None:
            return None
        files = ((part, file) for part in self._of_text() for file in part.files)
        rows = (row for part, file in files for row in read_rows(file, part.text_column, held_out.repo_column))
        return find_drawing(rows, held_out.frac, held_out.seed)

    def _held_out_key(self) -> Any:
        held_out = self.config.data.held_out
        if held_out is None:
            return None
        if self._drawing:
            return asdict(held_out) | self._drawing.key()
        return [asdict(held_out), texts.identity_of(self._measured_files)]

    @cached_property
    def _measured_files(self) -> list[Path]:
        held_out = self.config.data.held_out
        return texts.find_files(held_out.paths, "data.held_out.paths") if held_out and held_out.paths else []

    @cached_property
    def _measured_texts(self) -> set[bytes]:
        """Hashes of texts in the held-out files: their copies are not trained on."""
        column = self.config.data.held_out.text_column if self._measured_files else ""
        rows = chain.from_iterable(read_rows(path, column) for path in self._measured_files)
        return {text_hash(row.text) for row in rows}

    def _tokenise(self, part: Part, tokenizer: Tokenizer) -> int:
        """Write a part; returns how many of its texts could not be tokenised."""
        path = self._path(part, tokenizer)
        held_out = self._frac()
        sample = Sample(held_out.max_bytes if held_out else 0)
        rows = self._rows(part, sample)
        first = next(rows, None)
        refused = 0
        with explained(path):
            if first is not None:
                refused = write_tokens(chain([first], rows), tokenizer, path).about.num_refused
        if held_out:
            _write_texts(self._sampled(path), sample.texts())
        if first is None:
            replace_durably(_empty(path), lambda file: file.write(b""))
        return refused

    def _rows(self, part: Part, sample: Sample | None = None) -> Iterator[str]:
        """The texts of a part that are trained on; those held out go into `sample`."""
        drawing = self._drawing
        column = self.config.data.held_out.repo_column if drawing else None
        for path in part.files:
            for row in read_rows(path, part.text_column, column):
                if drawing and drawing.holds_out(row):
                    if sample:
                        sample.add(row.text)
                elif not self._measured_files or text_hash(row.text) not in self._measured_texts:
                    yield row.text

    def _sample(self) -> Iterator[str]:
        """Texts for a tokenizer: as much from each of many files, drawn by hash of the name."""
        alone = [Part(part.source, 0, (file,), part.text_column) for part in self._of_text() for file in part.files]
        if not alone:
            raise ConfigError("There is no text to train a tokenizer on; name one by tokenizer.path.")
        alone.sort(key=lambda part: seeds.hash_share("tokenizer sample", part.files[0].as_posix()))
        left = self.config.tokenizer.sample_bytes
        share = left / min(len(alone), SAMPLE_FILES)
        for part in alone:
            taken = 0
            for text in self._rows(part):
                if taken >= share or left <= 0:
                    break
                if size := num_bytes(text):
                    yield text
                    taken += size
            left -= taken

    def _held_out_texts(self, tokenizer: Tokenizer) -> list[str]:
        """The documents that are measured: those with the lowest hashes of all, until max_bytes are reached."""
        held_out = self.config.data.held_out
        if held_out is None:
            return []
        sample = Sample(held_out.max_bytes)
        if self._measured_files:
            rows = chain.from_iterable(read_rows(path, held_out.text_column) for path in self._measured_files)
            found: Iterator[str] = (row.text for row in rows)
        else:
            places = [self._sampled(self._path(part, tokenizer)) for part in self._of_text()]
            found = chain.from_iterable(_read_texts(place) for place in places)
        for text in found:
            sample.add(text)
        if not (chosen := sample.texts()):
            raise ConfigError(
                "data.held_out holds out nothing: no text was drawn, or those drawn are empty. "
                "Raise frac, or name files by paths."
            )
        return chosen

    def _inputs(self, parts: Sequence[Part]) -> list[Any]:
        return [[part.source, part.text_column, texts.identity_of(part.files)] for part in parts] + [
            self._held_out_key()
        ]

    def _key(self, *about: Any) -> str:
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]


def plan_preparation(config: Config) -> Preparation:
    """What is to be prepared for `config`. Raises InputError for paths that stand for nothing, ConfigError."""
    parts: list[Part] = []
    out = os.path.abspath(config.out.folder)
    for name, source in config.data.sources.items():
        found = texts.find_files(source.paths, f"data.sources.{name}")
        # What the run itself writes is no data, though it may lie in a folder of data.
        if not (files := [file for file in found if not Path(os.path.abspath(file)).is_relative_to(out)]):
            raise ConfigError(f"data.sources.{name}: {found[0]} lies in out.folder. Choose another folder for the run.")
        groups = [[file] for file in files if texts.is_tokens(file)]
        groups += _grouped([file for file in files if not texts.is_tokens(file)])
        parts += [Part(name, number, tuple(group), source.text_column) for number, group in enumerate(groups)]
    held_out = config.data.held_out
    if held_out and held_out.frac is not None and (ready := [part for part in parts if part.is_tokens]):
        raise ConfigError(
            f"data.held_out.frac needs texts with repositories; {ready[0].files[0]} holds tokens already. "
            "Name held-out files by data.held_out.paths."
        )
    preparation = Preparation(config, Path(config.out.folder) / "tokens", tuple(parts))
    if config.tokenizer.vocab_size is None:
        preparation.tokenizer()
    else:
        check_vocabulary(config.tokenizer.vocab_size, config.model.sizes().vocab)
    return preparation


def check_vocabulary(tokens: int, vocab: int) -> None:
    """Raise ConfigError unless a tokenizer of so many tokens fits a model's vocabulary.

    The vocabulary may be rounded up to the next multiple of 128, which accelerators like; no text reaches the rest.
    """
    if not tokens <= vocab < tokens + 128 or (vocab != tokens and vocab % 128):
        raise ConfigError(
            f"The tokenizer has {tokens:,} tokens and the model a vocabulary of {vocab:,}. Set model.vocab = {tokens}, "
            "or name the tokenizer that the model is made for."
        )


def _grouped(files: Sequence[Path]) -> Iterator[list[Path]]:
    group, size = [], 0
    for file in files:
        group.append(file)
        size += file.stat().st_size
        if size >= PART_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _empty(path: Path) -> Path:
    return path.with_suffix(".empty")


def _write_texts(path: Path, found: Sequence[str]) -> None:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in found)
    replace_durably(path, lambda file: file.write(lines.encode()))


def _read_texts(path: Path) -> list[str]:
    return [row.text for row in read_rows(path, "text")]
