"""Train a byte-level BPE on lines of text and write it as a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..model import byte_letters
from .from_sentencepiece import write_config

if TYPE_CHECKING:
    from .train import Params


def learn(lines: Iterator[str], params: Params, out: Path) -> None:
    """Special tokens have the first ids, then the 256 byte letters, then merges, most frequent pair first."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, trainers

    names = list(dict.fromkeys([params.bos_token, params.eos_token, *params.special_tokens]))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = byte_letters.pre_tokenizer(byte_letters.PATTERNS[params.pretokenizer])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=params.vocab_size,
        show_progress=False,
        special_tokens=[AddedToken(name, normalized=False, special=True) for name in names],
        initial_alphabet=list(byte_letters.letters()),
    )
    tokenizer.train_from_iterator((line + "\n" for line in lines), trainer)
    tokenizer.save(str(out / "tokenizer.json"))
    write_config(out, {"bos_token": params.bos_token, "eos_token": params.eos_token})
