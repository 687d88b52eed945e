"""Train a SentencePiece BPE model on lines of text, deterministically, and write it as a Hugging Face folder."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import StageError
from .from_sentencepiece import write_folder

if TYPE_CHECKING:
    from .train import Params

_LONGEST_LINE = 1 << 24


def learn(lines: Iterator[str], params: Params, out: Path) -> None:
    """Text is taken as it is (identity normalisation, blanks kept), in one thread; StageError if there is too little.

    The special tokens are user-defined pieces, so that tokenizer.model and tokenizer.json both match them whole.
    """
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=model,
            model_type="bpe",
            vocab_size=params.vocab_size,
            byte_fallback=params.byte_fallback,
            character_coverage=params.character_coverage,
            split_digits=params.split_digits,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=-1,
            unk_piece=params.unk_token,
            bos_piece=params.bos_token,
            eos_piece=params.eos_token,
            user_defined_symbols=list(params.special_tokens),
            max_sentence_length=_LONGEST_LINE,
            shuffle_input_sentence=False,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise StageError(
            f"SentencePiece could not learn {params.vocab_size} pieces ({str(error).strip()[-200:]})",
            how="Give more text or lower `vocab_size`.",
        ) from None
    write_folder(model.getvalue(), out)
