"""What decides a document's language beside its text, and what becomes of pages in several languages."""

from __future__ import annotations

import gzip
import json
from itertools import islice
from pathlib import Path

import pytest
from ordinary_text import KEPT

from sampan.artifacts.documents import Document
from sampan.core.params import parse_params
from sampan.corpus.clean import Params
from sampan.corpus.cleaning import Cleaner
from sampan.lang.codes import normalise_code
from sampan.lang.identify import Guess
from sampan.lang.lines import without_others

THAI, ENGLISH, MALAY = ("\n".join(KEPT[code]) for code in ("tha_Thai", "eng_Latn", "msa_Latn"))
UNSURE = "Menu Home Contact Blog Indonesia"


def clean(text, meta=(), **params):
    return Cleaner(parse_params(Params, {"filters": [], "pii": "keep", **params}, where="test"))(
        Document("1", text, meta=dict(meta))
    )


def test_the_form_of_chinese_is_recorded():
    document, reason = clean("\n".join(KEPT["zho_Hans"]))
    assert (reason, document.meta) == ("", {"variant": "Hans"})
    document, _ = clean("我們說這個國家的語言，" + "我们学习这个国家的语言，" * 3)
    assert document.meta == {"variant": "mixed"}
    assert "variant" not in clean(THAI)[0].meta


def test_a_declared_language_decides_only_what_is_unsure():
    assert clean(UNSURE)[1] == "unsure_language"
    document, reason = clean(UNSURE, {"declared_language": "ms-MY"})
    assert (document.language, reason) == ("msa_Latn", "")
    assert clean(UNSURE, {"declared_language": "ms"}, use_declared=False)[1] == "unsure_language"
    assert clean(UNSURE, {"declared_language": "th"})[1] == "unsure_language", "not its script"
    for code in ("id", "en", "nonsense", "jv,ms"):
        assert clean(THAI, {"declared_language": code})[0].language == "tha_Thai"


@pytest.mark.parametrize(("confidence", "language"), [(0.7, "msa_Latn"), (0.95, "ind_Latn")])
def test_a_declared_sister_stands_against_an_unsure_answer(monkeypatch, confidence, language):
    monkeypatch.setattr("sampan.corpus.cleaning.identify", lambda text, **asked: Guess("ind_Latn", confidence, "ind"))
    assert clean(MALAY, {"declared_language": "ms"})[0].language == language


def test_mixed_pages():
    mixed = f"{THAI}\n{ENGLISH}\n{THAI}"
    kept = clean(mixed)[0]
    assert (kept.text, kept.meta) == (mixed, {})
    tagged = clean(mixed, mixed="tag")[0]
    assert tagged.text == mixed
    assert 0.4 < float(tagged.meta["main_share"]) < 0.95
    alone = clean(mixed, mixed="main_lines", min_main_share=0.3)[0]
    assert alone.text == f"{THAI}\n{THAI}"
    assert alone.meta == tagged.meta
    assert clean(mixed, mixed="drop", min_main_share=0.98)[1] == "mixed_languages"
    assert clean(mixed, mixed="drop", min_main_share=0.3)[0].text == mixed
    # one language, and a short line of another, are not mixed
    for text in (THAI, MALAY, f"{THAI}\nSee you there!"):
        assert clean(text, mixed="main_lines")[0].meta == {}


def test_a_mixed_page_goes_by_the_language_of_most_letters():
    """As a whole, English beside Thai is called Thai from a quarter of the letters on; a label stands against it."""
    english = f"{ENGLISH}\n{ENGLISH}\n{THAI}"
    assert clean(english)[0].language == "tha_Thai"
    tagged = clean(english, mixed="tag")[0]
    assert (tagged.language, tagged.script, tagged.text) == ("eng_Latn", "Latn", english)
    assert float(tagged.meta["main_share"]) > 0.5
    assert clean(english, mixed="main_lines")[0].text == f"{ENGLISH}\n{ENGLISH}"
    assert clean(english, mixed="tag", languages=["tha_Thai"])[1] == "unwanted_language"
    labelled = Cleaner(parse_params(Params, {"filters": [], "mixed": "tag"}, where="test"))
    assert labelled(Document("1", english, language="tha_Thai"))[0].language == "tha_Thai"
    chinese = "\n".join(KEPT["zho_Hans"])
    document = clean(f"{ENGLISH}\n{chinese}\n{ENGLISH}", mixed="tag")[0]
    assert (document.language, document.meta.keys()) == ("eng_Latn", {"main_share"}), "no form of Chinese"


@pytest.mark.shared
def test_mixed_pages_of_13_languages_are_found(shared, monkeypatch):
    """A page a pair, a fifth of its letters in the second language: 0.98 when it was written, of 288 pages; the bar
    leaves room for three standard errors."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    import mixed_pages

    rows = mixed_pages.mixed_pages(mixed_pages.paragraphs(shared), pages=1, shares=(0.2,))
    strange = [row for row in rows if not row["sisters"]]
    assert len(strange) == 288
    assert sum(row["named"] and row["found"] > 0 for row in strange) / len(strange) >= 0.95


@pytest.mark.shared
def test_clean_text_of_13_languages_is_hardly_touched(shared):
    documents = touched = 0
    for folder in sorted((shared / "data" / "text").iterdir()):
        for file in sorted(folder.glob("*.jsonl.gz"))[:4] if len(folder.name) == 2 else ():
            with gzip.open(file, "rt", encoding="utf-8") as lines:
                for line in islice(lines, 25):
                    _, share = without_others(json.loads(line)["text"][:20_000], normalise_code(folder.name))
                    documents += 1
                    touched += share < 1
                    assert share >= 0.5
    assert documents > 1000
    assert touched / documents < 0.02  # 8 of 1195 when it was written
