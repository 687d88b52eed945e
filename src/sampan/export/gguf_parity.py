"""Would llama.cpp give the same token ids? Its tokenizers, replayed here and compared with tokenizer.json."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..core.errors import StageError
from .gguf_vocab import NORMAL, SPACE, Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SENTENCES = {
    "eng_Latn": "The boat left at 7:30, and we'll be home before the rain.",
    "tha_Thai": "เรือออกเวลาเจ็ดโมงครึ่ง แล้วเราจะถึงบ้านก่อนฝนตก",
    "lao_Laoo": "ເຮືອອອກເວລາເຈັດໂມງເຄິ່ງ ແລະພວກເຮົາຈະຮອດບ້ານກ່ອນຝົນຕົກ",
    "khm_Khmr": "ទូកចេញនៅម៉ោងប្រាំពីរកន្លះ ហើយយើងនឹងដល់ផ្ទះមុនភ្លៀងធ្លាក់។",
    "mya_Mymr": "လှေက ခုနစ်နာရီခွဲမှာ ထွက်ပြီး မိုးမရွာခင် အိမ်ပြန်ရောက်မယ်။",
    "tam_Taml": "படகு ஏழரை மணிக்குப் புறப்பட்டது; மழைக்கு முன் வீடு சேர்வோம்.",
    "vie_Latn": "Thuyền rời bến lúc 7 giờ 30, chúng ta sẽ về nhà trước cơn mưa.",
    "ind_Latn": "Perahu berangkat pukul 07.30 dan kita akan tiba sebelum hujan.",
    "zsm_Latn": "Perahu bertolak pada pukul 7.30 dan kita akan sampai sebelum hujan.",
    "tgl_Latn": "Umalis ang bangka nang alas-siyete y medya; uuwi tayo bago umulan.",
    "zho_Hans": "船七点半开，我们会在下雨之前到家。",
}
"""One sentence for each language of the house, of our own writing."""
MAX_PIECES = 20_000


def check_parity(tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, *, allow: bool) -> list[str]:
    """Notices about differing tokens; StageError on any difference unless `allow`.

    SentencePiece BPE is replayed whole. For byte-level BPE the merges are the same code in both, so the cuts before
    merging are compared, and whether every token that llama.cpp would take whole can be merged.
    """
    if vocabulary.model == "llama":
        wrong = _differing(tokenizer, vocabulary)
    else:
        wrong = [*_cut_differently(vocabulary), *_unmergeable(tokenizer, vocabulary)]
    if not wrong:
        return []
    says = f"llama.cpp would give other token ids than tokenizer.json for {', '.join(wrong[:6])}"
    if allow:
        return [f"{says}. The model was trained on the ids of tokenizer.json, so expect worse answers there."]
    raise StageError(
        says,
        how="Serve the `export.hf` folder with vLLM or `sampan serve`, or set `allow_other_tokens: true` to export all "
        "the same.",
    )


def spm_ids(text: str, vocabulary: Vocabulary, ids: dict[str, int]) -> list[int]:
    """Token ids as llama.cpp's SentencePiece tokenizer gives them: join the best-scored neighbours, leftmost first."""
    text = text.replace(" ", SPACE)
    symbols = list((SPACE if vocabulary.add_space_prefix and text else "") + text)
    after = [*range(1, len(symbols)), -1]
    before = list(range(-1, len(symbols) - 1))
    queue: list[tuple[float, int, int, str]] = []

    def offer(left: int, right: int) -> None:
        if left >= 0 and right >= 0 and (joined := symbols[left] + symbols[right]) in ids:
            heapq.heappush(queue, (-vocabulary.scores[ids[joined]], left, right, joined))

    for number in range(len(symbols) - 1):
        offer(number, number + 1)
    while queue:
        _, left, right, joined = heapq.heappop(queue)
        if not symbols[left] or not symbols[right] or symbols[left] + symbols[right] != joined:
            continue
        symbols[left], symbols[right] = joined, ""
        after[left] = after[right]
        if after[right] >= 0:
            before[after[right]] = left
        offer(before[left], left)
        offer(left, after[left])
    return [token for symbol in symbols if symbol for token in _pieces(symbol, ids)]


def _pieces(symbol: str, ids: dict[str, int]) -> list[int]:
    if symbol in ids:
        return [ids[symbol]]
    return [ids[f"<0x{byte:02X}>"] for byte in symbol.encode("utf-8")]


def _differing(tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary) -> list[str]:
    ids = {token: number for number, token in enumerate(vocabulary.tokens)}
    if any(f"<0x{byte:02X}>" not in ids for byte in range(256)):
        return ["text outside the vocabulary (not every byte has a token)"]

    def differ(text: str) -> bool:
        return tokenizer(text, add_special_tokens=False)["input_ids"] != spm_ids(text, vocabulary, ids)

    wrong = [language for language, text in SENTENCES.items() if differ(text)]
    kinds = zip(vocabulary.tokens, vocabulary.types, strict=True)
    pieces = [token.replace(SPACE, " ") for token, kind in kinds if kind == NORMAL]
    step = -(-len(pieces) // MAX_PIECES)
    bad = [piece for piece in pieces[::step] if differ(piece)]
    return wrong + ([f"{len(bad)} of its own pieces (such as {bad[0]!r})"] if bad else [])


def _cut_differently(vocabulary: Vocabulary) -> list[str]:
    pre = vocabulary.pre_type
    if pre is None or not pre.llama_cpp:
        return []
    import regex

    ours, theirs = regex.compile(pre.regex), regex.compile(pre.llama_cpp)
    return [language for language, text in SENTENCES.items() if ours.findall(text) != theirs.findall(text)]


def _unmergeable(tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary) -> list[str]:
    """llama.cpp takes a whole word that is a token at once for some pre types, merging for others."""
    pre = vocabulary.pre_type
    if pre is None or bool(getattr(tokenizer.backend_tokenizer.model, "ignore_merges", False)) == pre.ignore_merges:
        return []
    from tokenizers.models import BPE

    ids = {token: number for number, token in enumerate(vocabulary.tokens)}
    merges = [tuple(line.split(" ", 1)) for line in vocabulary.merges]
    merger = BPE(vocab=ids, merges=merges, ignore_merges=False)
    words = _normal(vocabulary.tokens, vocabulary.types)
    lost = [word for word in words if len(merger.tokenize(word)) != 1]
    return [f"{len(lost)} tokens that merging cannot build (such as {lost[0]!r})"] if lost else []


def _normal(tokens: Sequence[str], types: Sequence[int]) -> Iterable[str]:
    return (token for token, kind in zip(tokens, types, strict=True) if kind == NORMAL)
