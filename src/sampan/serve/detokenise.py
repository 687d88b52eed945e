"""Token ids to text as they come: whole UTF-8 characters only, spaces where the whole text would have them."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING

from ..core.errors import InputError
from ..model.byte_letters import bytes_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPACE = "▁"
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class TokenBytes:
    """The bytes that each token id stands for, for byte-level BPE and for SentencePiece with byte fallback.

    Special tokens stand for nothing. `strips_first_space` tells whether the tokenizer's own decoding drops one space
    at the beginning of a text. InputError for another kind of decoder.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        decoder = json.loads(tokenizer.backend_tokenizer.to_str())["decoder"] or {}
        steps = decoder.get("decoders", [decoder])
        kinds = [step.get("type") for step in steps]
        if "ByteLevel" not in kinds and not {"Replace", "Metaspace"} & set(kinds):
            raise InputError(
                f"cannot turn single tokens of this tokenizer into text (decoder {' + '.join(map(str, kinds))})"
            )
        self.strips_first_space = "Strip" in kinds or any(
            step.get("type") == "Metaspace" and step.get("prepend_scheme", "always") != "never" for step in steps
        )
        letters = bytes_of() if "ByteLevel" in kinds else None
        added = tokenizer.added_tokens_decoder
        special = set(tokenizer.all_special_ids) | {number for number, token in added.items() if token.special}
        self._table: dict[int, bytes] = {}
        for token, number in tokenizer.get_vocab().items():
            if number in special:
                self._table[number] = b""
            elif letters is not None and number not in added:
                self._table[number] = bytes(letters[letter] for letter in token if letter in letters)
            elif letters is None and (byte := _BYTE.fullmatch(token)):
                self._table[number] = bytes([int(byte[1], 16)])
            else:
                self._table[number] = (token if letters is not None else token.replace(SPACE, " ")).encode()

    def __getitem__(self, number: int) -> bytes:
        return self._table.get(number, b"")  # padded rows of the embedding stand for nothing


class Detokeniser:
    """Feed ids with `push`, end with `flush`; the pieces joined are the text.

    `at_start` says that the ids begin a text, so that SentencePiece's first space is dropped; otherwise they go on
    from a prompt and it is kept. Bytes that are no UTF-8 become U+FFFD, as in `bytes.decode(errors="replace")`.
    """

    def __init__(self, table: TokenBytes, *, at_start: bool) -> None:
        self._table = table
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._strip = at_start and table.strips_first_space

    def push(self, number: int) -> str:
        """The characters that this id completes, often one piece, sometimes none."""
        data = self._table[number]
        if self._strip and data:
            self._strip = False
            data = data.removeprefix(b" ")
        return self._decoder.decode(data)

    def flush(self) -> str:
        """What is left when the ids end in the middle of a character."""
        return self._decoder.decode(b"", final=True)
