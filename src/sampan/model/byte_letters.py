"""Byte-level BPE: the 256 printable letters that stand for bytes, and the regular expressions that cut words.

The byte letters are GPT-2's (Radford et al. 2019). GPT-2's and Llama 3's expressions class a vowel sign as "no letter",
so that Thai, Lao, Khmer, Burmese and Tamil words are cut at every mark; the repaired ones count marks (Unicode M) with
the letters, which changes nothing in text without marks.
"""

from __future__ import annotations

import functools

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
BLANKS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{BLANKS}"
QWEN2 = rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{BLANKS}"
REPAIRED = (
    rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}{{1,3}}"
    rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{BLANKS}"
)
QWEN35 = REPAIRED.replace(r"\p{N}{1,3}", r"\p{N}")
_CAPITALS, _SMALL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
# o200k, which Llama 4 uses too: words end where capitals begin, and marks belong to words.
O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_CAPITALS}*{_SMALL}+{CONTRACTIONS}?|[^\r\n\p{{L}}\p{{N}}]?{_CAPITALS}+{_SMALL}*{CONTRACTIONS}?"
    rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{BLANKS}"
)
PATTERNS = {"gpt2": GPT2, "llama3": LLAMA3, "qwen2": QWEN2, "o200k": O200K, "repaired": REPAIRED}


@functools.cache
def letters() -> tuple[str, ...]:
    """The letter of every byte 0…255: itself where printable in Latin-1, else a letter from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table, spare = [], 0x100
    for byte in range(256):
        if byte in plain:
            table.append(chr(byte))
        else:
            table.append(chr(spare))
            spare += 1
    return tuple(table)


@functools.cache
def bytes_of() -> dict[str, int]:
    """The byte that each letter stands for."""
    return {letter: byte for byte, letter in enumerate(letters())}


def spell(raw: bytes) -> str:
    """Bytes as byte letters."""
    table = letters()
    return "".join([table[byte] for byte in raw])


def unspell(token: str) -> bytes:
    """Byte letters back to bytes; KeyError on any other letter."""
    table = bytes_of()
    return bytes([table[letter] for letter in token])


def pre_tokenizer(pattern: str):
    """Cut by `pattern`, then spell in byte letters."""
    from tokenizers import Regex, pre_tokenizers

    cut = pre_tokenizers.Split(Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
