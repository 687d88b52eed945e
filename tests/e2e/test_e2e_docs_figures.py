"""The figures on the pages of docs/ are those that the benchmarks wrote, rounded as the pages round them."""

from __future__ import annotations

import json
import re
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def results(name: str) -> dict:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def shown(value: float, digits: int = 0) -> str:
    """A number as a page rounds it; where the result file's own rounding left a half, either way (see `pattern`)."""
    ways = (ROUND_HALF_DOWN, ROUND_HALF_UP)
    down, up = (f"{Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), way):,}" for way in ways)
    return down if down == up else f"⟦{down}¦{up}⟧"


def pattern(phrase: str) -> str:
    """What finds the phrase, with either of two ways to round a half."""
    return re.sub("⟦(.*?)¦(.*?)⟧", r"(?:\1|\2)", re.escape(phrase))


def cells(*given: str) -> str:
    """The cells of a table's row, or of a part of it."""
    return f"| {' | '.join(given)} |"


def percent(value: float) -> str:
    return f"{shown(round(100 * value, 6))} %"


def tens(value: float) -> str:
    return f"{round(value, -1):,.0f}"


def _dedup() -> list[str]:
    found = results("dedup_vs_datasketch")
    english, burmese = (found["by_language"][code]["ours"] for code in ("eng_Latn", "mya_Mymr"))
    assert english == min(row["ours"] for row in found["by_language"].values())
    return [
        f"{tens(found['ours'])} pages per second of processor time, {tens(english)} in English to {tens(burmese)} in",
        f"{shown(found['ratio'], 1)} times a script with datasketch",
    ]


def _scale() -> list[str]:
    memory = results("corpus_at_scale")["peak_megabytes_per_process"]
    crawl = results("corpus_at_scale")["stages"]["crawled"]["documents_per_cpu_second"]
    clean = sorted(row["clean"] for row in results("filters_rate")["by_language"].values())
    packed = results("tokenise_vs_peers")["by_tokenizer"]["llama3"]
    return [
        f"pages of 95 KB | {tens(crawl)} |",
        f"{tens(clean[0])} to {tens(clean[-1]).replace(',', ' ')} | `filters_rate.json`",
        f"{round(results('dedup_vs_datasketch')['ours'], -3):,.0f} | `dedup_vs".replace(",", " "),
        f"more than {memory['full']} MB for a gigabyte of pages, and {memory['quarter']} MB for a quarter",
        f"{shown(packed['ours'])} MB a CPU-second: {shown(packed['to_datatrove'])} times",
        f"and {shown(packed['to_fastest_bare'], 2)} to",
    ]


def _extraction() -> list[str]:
    found = results("extraction_vs_trafilatura")
    sides = ["sampan", "sampan accuracy", "resiliparse", "trafilatura fast", "trafilatura", "trafilatura precision"]
    rows = {
        "Trafilatura's set, held out (43)": "trafilatura_eval, held out",
        "Trafilatura's set, all (88)": "trafilatura_eval, all",
        "articles, held out (50)": "article_extraction_benchmark, held out",
        "articles, all (88)": "article_extraction_benchmark, all",
        "Readability's, held out (30)": "readability, held out",
        "Readability's, all (46)": "readability, all",
        "the region's articles (7)": "region, articles",
        "the region's stories (26)": "region, stories",
    }
    lines = [cells(row, *(shown(found["scores"][side][key]["f1"], 3) for side in sides)) for row, key in rows.items()]
    times = cells(*(shown(found["milliseconds"][side], 1) for side in sides))
    return [*lines, times, f"{shown(found['ratio'], 1)} times ("]


def _identification() -> list[str]:
    found = results("mixed_pages")
    lines = []
    for share in ("5%", "10%", "20%", "30%", "40%"):
        sides = [found["by_share_and_layout"][f"{share}, {layout}"] for layout in ("end", "spread")]
        kinds = ("named as a whole", "main language named", "found")
        row = (shown(round(100 * side[kind], 6), 1) for side in sides for kind in kinds)
        lines.append(cells(share.replace("%", " %"), *row))
    for size, row in found["short_texts_that_declare"].items():
        kinds = ("nothing", "the right one", "English", "a sister or English")
        told = (shown(round(100 * row[kind][way], 6), 1) for kind in kinds for way in ("right", "wrong"))
        lines.append(cells(size.partition(" ")[0], *told))
    pages = found["declared_on_web_pages"]
    return [
        *lines,
        f"{shown(round(100 * found['ours'], 6), 1)} % of the pages are named and found",
        f"by themselves {shown(round(100 * found['false_alarms'], 6), 2)} % are taken for another",
        f"{pages['rightly'] + pages['English, wrongly']} declare one of our languages, {pages['rightly']} rightly",
    ]


def _merging() -> list[str]:
    found, search = results("merge_vs_mergekit")["methods"], results("merge_search_village")["measures"]
    ours, peer = search["ours"], search["peer"]
    lines = []
    for name, method in found.items():
        seconds, ratio = method["cpu_seconds"], method["ratio"]
        each = (f"{shown(seconds[way], 1)} ({shown(ratio[way], 1)}×)" for way in ("numpy", "fused"))
        lines.append(cells(name, shown(seconds["mergekit"], 1), *each, shown(seconds["fused_cold"], 1)))
    large = results("merge_8b_memory")["methods"]["dare_ties"]
    return [
        *lines,
        f"dare_ties is {shown(found['dare_ties']['times_a_plain_copy'])} times that",
        f"take {shown(large['peak_bytes'] / 1e6)} MB at the peak and {shown(large['cpu_seconds'])} CPU seconds",
        f"it has {shown(ours['bits_per_byte'], 3)} bits per byte and {percent(ours['acc'])}",
        f"has {shown(peer['bits_per_byte'], 3)} and {percent(peer['acc'])}",
    ]


def _evaluation() -> list[str]:
    runs = results("eval_vs_lm_eval")["runs"]
    return [
        f"{shown(runs['choice']['ratio'], 1)} times on five-shot multiple choice",
        f"{shown(runs['generation']['ratio'], 1)} times on five-shot generation",
        f"{shown(runs['generation, trained, zero-shot']['ratio'], 1)} times with a model of 260,000",
        f"{shown(runs['choice, examples drawn']['ratio'], 1)} times with examples drawn",
        f"{shown(runs['generation, larger']['ratio'], 1)} times with 64 million",
    ]


def _twins() -> list[str]:
    seconds = {name: twin["cpu_seconds"] for name, twin in results("tiny_twins")["twins"].items()}
    llama, gemma = (seconds[f"sea-lion-v3-{base}-tiny"] for base in ("llama-8b", "gemma-9b"))
    v1, v2, v25 = (seconds[f"sealllm-{name}-tiny"] for name in ("v1-13b", "v2-7b", "v2.5-7b"))
    return [f"Llama {shown(llama)}, on Gemma {shown(gemma)}, SeaLLM v1 {shown(v1)}, v2 {shown(v2)}, v2.5 {shown(v25)};"]


def _initialisation() -> list[str]:
    def with_bars(row: dict) -> list[str]:
        pairs = (row["after"][key] for key in ("region", "eng_Latn"))
        return [f"{shown(mean, 3)} ± {shown(bar, 3)}" for mean, bar in pairs]

    found = results("init_methods")
    lines = []
    for name, method in found["methods"].items():
        before = [shown(method["before"][key][0], 3) for key in ("region", "eng_Latn")]
        lines.append(cells(f"`{name}`", *with_bars(method), *before))
    for name, row in found["unexpanded"].items():
        lines.append(cells(f"not expanded, {name.replace('_', ' ')}", f"{row['tokens']:,}", *with_bars(row)))
    return lines


def _mixture() -> list[str]:
    lines = []
    for row in results("mixture_vs_lightgbm")["by_runs"].values():
        for side in ("ours", "peer"):
            lines.append(cells(" / ".join(shown(value, 3).lstrip("0") for value in row[side])))
    return lines


def _vocabulary() -> list[str]:
    grown, agree = results("vocab_grow_vs_fresh")["sides"], results("tokenizers_agree")
    fresh = [grown[f"{peer}_peer"]["cpu_seconds"] for peer in ("tokenizers", "sentencepiece")]
    sides = results("vocab_vs_sealllm")["sides"]
    columns = [sides[name] for name in ("ten_lines", "ours_default", "ours", "ours_identical")]
    lines = []
    for code, told in results("vocab_vs_sealllm")["published"].items():
        ratios = [side["ratios"][code] for side in (sides["base"], *columns)]
        lines.append(cells(code, *(shown(value, 2) for value in (ratios[0], told, *ratios[1:]))))
    return [
        *lines,
        f"take {shown(grown['ours']['cpu_seconds'])} CPU-seconds and {shown(grown['ours']['peak_bytes'] / 1e9, 1)} GB",
        f"`tokenizers` {shown(fresh[0])} and `sentencepiece` {shown(fresh[1])}",
        f"over {agree['sides']['llama2']['documents']:,} documents",
        cells("new ids", "0", "16,512", *(f"{column['new_ids']:,}" for column in columns)),
    ]


def _byte_level() -> list[str]:
    """Columns of the page: base, peer, ours, gain, fewer tokens than the base; Llama 3 and then Qwen."""
    sides = results("vocab_byte_level")["sides"]
    lines = []
    for code, name in {"th": "Thai", "lo": "Lao", "km": "Khmer", "my": "Burmese", "ta": "Tamil"}.items():
        told = []
        for row in (sides[side]["languages"][code] for side in ("llama3", "qwen")):
            told.append(", ".join(shown(row["characters_per_token"][side], 2) for side in ("base", "peer", "ours")))
            told += [f"+{percent(row['over_peer'] - 1)}", f"{shown(row['tokens_base_over_ours'], 1)} ×"]
        lines.append(cells(name, *told))
    return lines


FIGURES = {
    "why/deduplication.md": _dedup,
    "why/scale.md": _scale,
    "why/extraction.md": _extraction,
    "why/language-identification.md": _identification,
    "how-to/merge.md": _merging,
    "how-to/evaluate.md": _evaluation,
    "how-to/lineages.md": _twins,
    "why/initialisation.md": _initialisation,
    "why/mixture.md": _mixture,
    "why/vocabulary.md": lambda: _vocabulary() + _byte_level(),
}


@pytest.mark.parametrize("page", FIGURES)
def test_the_figures_of_a_page_are_those_of_the_benchmarks_results(page):
    """A benchmark that is run again changes its result file; then the page has to say so."""
    text = " ".join((ROOT / "docs" / page).read_text(encoding="utf-8").split())
    missing = [phrase for phrase in FIGURES[page]() if not re.search(pattern(phrase), text)]
    assert not missing, f"docs/{page} does not say: {missing}"
