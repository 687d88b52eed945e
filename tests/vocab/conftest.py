"""Base tokenizers that know English only, and the same grown for every language."""

from __future__ import annotations

from pathlib import Path

import pytest
from vocab_corpora import PHRASES, run_stage, write_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "all.jsonl", list(PHRASES))


@pytest.fixture(scope="session")
def bases(tmp_path_factory) -> dict[str, Path]:
    """English-only tokenizers by family."""
    from sampan.vocab.train import STAGE

    root = tmp_path_factory.mktemp("bases")
    english = write_corpus(root / "english.jsonl", ["eng_Latn"])
    for family, size in (("sentencepiece", 360), ("byte_level", 320)):
        run_stage(STAGE, root / family, {"documents": english}, family=family, vocab_size=size, pretokenizer="llama3")
    return {family: root / family for family in ("sentencepiece", "byte_level")}


@pytest.fixture(scope="session")
def expanded(tmp_path_factory, bases, corpus) -> dict[str, tuple[Path, dict]]:
    """Each base grown for all languages: folder and metrics."""
    return grown(tmp_path_factory.mktemp("expanded"), bases, corpus)


@pytest.fixture(scope="session")
def distinct(tmp_path_factory, bases, corpus) -> dict[str, tuple[Path, dict]]:
    """The same, Latin pieces only with letters that English has not."""
    return grown(tmp_path_factory.mktemp("distinct"), bases, corpus, shared_script="distinct")


def grown(root: Path, bases: dict[str, Path], corpus: Path, **values) -> dict[str, tuple[Path, dict]]:
    from sampan.vocab.expand import STAGE

    made = {}
    for family, base in bases.items():
        given = {"base": base, "documents": corpus}
        metrics = run_stage(STAGE, root / family, given, num_new_tokens=900, pad_to_multiple=64, **values)
        made[family] = (root / family, metrics)
    return made
