"""tiktoken ranks (base64 token and rank per line) as a Hugging Face folder that gives the same ids."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from ..core.errors import InputError
from ..model import byte_letters
from .from_sentencepiece import write_config

_LLAMA3_NAMES = """begin_of_text end_of_text reserved_special_token_0 reserved_special_token_1 finetune_right_pad_id
step_id start_header_id end_header_id eom_id eot_id python_tag"""
LLAMA3_SPECIALS = (
    *(f"<|{name}|>" for name in _LLAMA3_NAMES.split()),
    *(f"<|reserved_special_token_{number}|>" for number in range(2, 247)),
)
"""The 256 special tokens of Llama 3.1, in order of id."""
QWEN_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
# ranks in the file -> (word expression, special tokens, BOS, EOS)
_KNOWN = {
    128_000: ("llama3", LLAMA3_SPECIALS, "<|begin_of_text|>", "<|end_of_text|>"),
    151_643: ("qwen2", QWEN_SPECIALS, "", "<|endoftext|>"),
}


def parse_ranks(raw: bytes, *, where: str) -> list[bytes]:
    """Tokens by rank; InputError names the line that is not `base64 rank`, or a gap in the ranks."""
    ranks: dict[int, bytes] = {}
    for number, line in enumerate(raw.splitlines(), 1):
        if not line.strip():
            continue
        try:
            text, rank = line.split()
            ranks[int(rank)] = base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            raise InputError("not a base64 token and a rank", where=f"{where}:{number}") from None
    if sorted(ranks) != list(range(len(ranks))) or len(set(ranks.values())) != len(ranks) or not ranks:
        raise InputError("the ranks are not 0, 1, 2, … with distinct tokens", where=where)
    return [ranks[rank] for rank in range(len(ranks))]


def looks_like_ranks(raw: bytes) -> bool:
    """Whether the first line is a base64 token and a number."""
    parts = raw[:4096].split(b"\n", 1)[0].split()
    if len(parts) != 2 or not parts[1].isdigit():
        return False
    try:
        base64.b64decode(parts[0], validate=True)
    except binascii.Error:
        return False
    return True


def write_folder(raw: bytes, out: Path, *, pattern: str = "auto", where: str = "ranks") -> None:
    """Write tokenizer.json and tokenizer_config.json into `out`.

    `pattern` names the word expression (`byte_letters.PATTERNS`); `auto` knows Llama 3's and Qwen's files by their
    number of ranks, with their special tokens. tiktoken joins the neighbouring pair of lowest rank, whatever its
    parts: every split of a token is a merge, in order of rank.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models

    from ..model.sentencepiece_bpe import merges_from_scores

    tokens = parse_ranks(raw, where=where)
    known = _KNOWN.get(len(tokens))
    if pattern == "auto" and known is None:
        raise InputError(
            f"{len(tokens)} ranks are neither Llama 3's nor Qwen's, so the word expression is not known",
            where=where,
            how=f"Set `pretokenizer` to one of {', '.join(byte_letters.PATTERNS)}.",
        )
    _, specials, bos, eos = known or ("", ("<|endoftext|>",), "", "<|endoftext|>")
    spelled = [byte_letters.spell(token) for token in tokens]
    merges = merges_from_scores([(token, -float(rank)) for rank, token in enumerate(spelled)])
    vocabulary = {token: rank for rank, token in enumerate(spelled)}
    # Special tokens get their ids in the vocabulary itself, so that no later growth can move them.
    vocabulary |= {name: len(spelled) + number for number, name in enumerate(specials)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = byte_letters.pre_tokenizer(
        byte_letters.PATTERNS[known[0] if pattern == "auto" and known else pattern]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in specials])
    tokenizer.save(str(out / "tokenizer.json"))
    write_config(out, {"eos_token": eos} | ({"bos_token": bos} if bos else {}))
