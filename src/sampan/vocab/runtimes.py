"""What each runtime makes of a grown tokenizer, written beside it as tokenizer_report.json.

transformers and vLLM read the word expression from tokenizer.json. llama.cpp knows expressions by name only, compiled
in: Qwen 3.5's form is `qwen35` there, a mark-range patch of Llama 3's has no name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..model import byte_letters
from .byte_level_family import ByteLevelGrowth
from .growth import Growth
from .replacing import replaced

_LLAMA_CPP = {
    byte_letters.GPT2: "gpt-2",
    byte_letters.LLAMA3: "llama-bpe",
    byte_letters.QWEN2: "qwen2",
    byte_letters.QWEN35: "qwen35",
}
_FROM_JSON = "reads it from tokenizer.json"


def write_report(growth: Growth, out: Path) -> dict[str, str]:
    """Write tokenizer_report.json into `out`; returns what each runtime does, in words."""
    if not isinstance(growth, ByteLevelGrowth):
        report: dict[str, Any] = {"family": "sentencepiece", "word_expression": None}
        runtimes = {"transformers": _FROM_JSON, "vllm": _FROM_JSON, "llama.cpp": "SentencePiece BPE by scores"}
    else:
        now = word_expression(growth.base["pre_tokenizer"])
        was = word_expression(growth.original_spec["pre_tokenizer"])
        name = _LLAMA_CPP.get(now, "")
        report = {"family": "byte_level", "word_expression": now, "base_word_expression": was, "repaired": now != was}
        known = f"knows this word expression as `{name}`"
        unknown = "has no name for this word expression: set `pretokenizer: keep` where GGUF must agree"
        runtimes = {"transformers": _FROM_JSON, "vllm": _FROM_JSON, "llama.cpp": known if name else unknown}
        report["tiktoken_file"] = growth.by_rank
    report["runtimes"] = runtimes
    report["replaced"] = replaced(growth)
    (out / "tokenizer_report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    return runtimes


def word_expression(spec: Any) -> str:
    """The expression that cuts words in a byte-level pre_tokenizer of tokenizer.json, '' if there is none."""
    parts = spec.get("pretokenizers", [spec])
    for part in parts:
        if part["type"] == "Split" and "Regex" in part["pattern"]:
            return part["pattern"]["Regex"]
        if part["type"] == "ByteLevel" and part.get("use_regex", True):
            return byte_letters.GPT2
    return ""
