"""Repeated lines, paragraphs and spans go from all documents but one, whatever the order, shards and workers."""

import random

import numpy as np
import pytest
from corpus_dedup_engine import ALPHABETS, four_workers, run_dedup, text_of
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.artifacts.documents import Document
from sampan.core.errors import RecipeError
from sampan.corpus import spill
from sampan.corpus.passages import passages_of
from sampan.corpus.spans import caseless_units, common_run, fingerprints

STAGE = "corpus.dedup_passages"


def run(tmp_path, documents, params, against=(), **options):
    inputs = {"documents": [documents], **({"against": [list(against)]} if against else {})}
    return run_dedup(tmp_path, inputs, params, stage=STAGE, **options)


@pytest.mark.parametrize("language", ALPHABETS)
@pytest.mark.parametrize("scope", ["line", "paragraph"])
def test_a_passage_of_many_documents_stays_in_the_longest(tmp_path, scope, language):
    chance = random.Random(1)
    joint = {"line": "\n", "paragraph": "\n\n"}[scope]
    common, rare = text_of(chance, language, 25), text_of(chance, language, 25)
    documents = []
    for n in range(6):
        own = [text_of(chance, language, 30 + 40 * n) for _ in range(2)]
        middle = [common + "  "] + ([rare] if n < 3 else [])
        documents.append(Document(str(n), joint.join([own[0], *middle, own[1]])))
    kept, metrics, _ = run(tmp_path, documents, {"scope": scope})
    texts = {d.id: d.text for d in kept}
    assert [n for n, text in texts.items() if common in text] == ["5"]
    assert [n for n, text in texts.items() if rare in text] == ["0", "1", "2"]
    assert metrics["passages_removed"] == 5
    for n in range(5):
        lines = documents[n].text.split(joint)
        assert texts[str(n)] == joint.join(line for line in lines if line.strip() != common)
    assert texts["5"] == documents[5].text


def test_short_passages_stay_and_little_left_goes(tmp_path):
    chance = random.Random(2)
    common, short = text_of(chance, "ind_Latn", 25), text_of(chance, "ind_Latn", 5)
    documents = [Document("long", common + "\n" + text_of(chance, "ind_Latn", 40) + "\n" + short)]
    documents += [Document(f"s{n}", f"{common}\n{short}", language="ind_Latn", source="web") for n in range(3)]
    kept, metrics, out = run(tmp_path, documents, {"scope": "line", "max_documents": 1})
    assert [d.id for d in kept] == ["long"]
    assert kept[0].text == documents[0].text
    assert metrics["dropped"] == {"little_left": 3}
    assert common[:50] in (out / "summary.json").read_text()


def test_an_earlier_corpus_keeps_its_passages(tmp_path):
    chance = random.Random(3)
    common = text_of(chance, "tha_Thai", 60)
    new = [Document(str(n), common + "\n" + text_of(chance, "tha_Thai", 90)) for n in range(2)]
    for scope in ("line", "span"):
        params = {"scope": scope, "min_units": 30, "max_documents": 1}
        kept, metrics, _ = run(tmp_path, new, params, against=[Document("old", common)])
        assert [d.text for d in kept] == [d.text.split("\n")[1] for d in new]
        assert metrics["documents_in"] == 2


@pytest.mark.parametrize("language", ALPHABETS)
def test_a_span_goes_from_all_but_one(tmp_path, language):
    chance = random.Random(4)
    joint = " " if language in ("ind_Latn", "tam_Taml") else ""
    common, other = text_of(chance, language, 60), text_of(chance, language, 36)
    documents = []
    for n in range(4):
        parts = [text_of(chance, language, 50 + n), common, text_of(chance, language, 50), other]
        documents.append(Document(str(n), joint.join([*parts, text_of(chance, language, 30)])))
    kept, metrics, _ = run(tmp_path, documents, {"scope": "span", "min_units": 40, "max_documents": 1})
    assert [common in d.text for d in kept] == [False, False, False, True]
    assert all(other in d.text for d in kept)  # too short, even if chance makes its neighbours equal
    assert metrics["passages_removed"] == 3
    for before, after in zip(documents, kept, strict=True):
        # a letter or two at the ends may be equal by chance
        assert len(before.text) - len(after.text) in (0, *range(len(common + joint), len(common + joint) + 3))


@pytest.mark.parametrize("scope", ["line", "span"])
def test_the_result_does_not_depend_on_order_shards_or_workers(tmp_path, monkeypatch, scope):
    monkeypatch.setattr(spill, "BUCKET_RECORDS", 300)
    chance = random.Random(5)
    lines = [text_of(chance, language, 45) for language in ALPHABETS for _ in range(4)]
    documents = [Document(str(n), "\n".join(chance.sample(lines, 5))) for n in range(40)]
    documents += [Document("twin", documents[0].text), Document("twin", documents[0].text)]
    expected = None
    for seed, parts, engine in ((1, 1, None), (2, 6, None), (3, 3, four_workers), (4, 1, None)):
        random.Random(seed).shuffle(documents)
        params = {"scope": scope, "min_units": 30, "max_documents": 1}
        kept, metrics, _ = run(tmp_path, documents, params, engine=engine, parts=parts)
        result = sorted((d.id, d.text) for d in kept), metrics["dropped"], metrics["passages_removed"]
        expected = expected or result
        assert result == expected
    together = "\n".join(text for _, text in expected[0])
    # of every line one copy stays somewhere; its last unit may have gone with the line before only if that was a copy
    assert all(line in together for line in lines if any(line in d.text for d in documents))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(8, 40), st.integers(0, 10**6))
def test_winnowing_finds_every_run_of_the_length(before, after, length, seed):
    draw = np.random.default_rng(seed)
    run_L = draw.integers(0, 1 << 63, length, dtype=np.uint64)
    texts = [
        np.concatenate([draw.integers(0, 1 << 63, n, dtype=np.uint64), run_L, draw.integers(0, 9, n, dtype=np.uint64)])
        for n in (before, after)
    ]
    keys, places = zip(*(fingerprints(text, length) for text in texts), strict=True)
    common, left, right = np.intersect1d(*keys, return_indices=True)
    assert len(common)
    found = [
        common_run(texts[0], int(places[0][a]), texts[1], int(places[1][b])) for a, b in zip(left, right, strict=True)
    ]
    assert any(first <= before and end >= before + length for first, end in found)


def test_common_runs_of_long_texts():
    text = np.arange(5000, dtype=np.uint32)
    other = np.concatenate([np.full(7, 9_999_999, np.uint32), text[1000:4000], text[:3]])
    assert common_run(text, 2500, other, 1507) == (1000, 4000)
    assert common_run(text, 0, text, 0) == (0, 5000)


def test_passages_of_a_text():
    text = "a b\n \n\nc\nd\n\n  \ne"
    assert [text[a:b] for a, b in passages_of(text, "line")] == ["a b", "c", "d", "e"]
    assert [text[a:b] for a, b in passages_of(text, "paragraph")] == ["a b", "c\nd", "e"]
    assert list(passages_of("", "paragraph")) == []


def test_case_folding_keeps_places():
    text = "İstanbul ABC"  # its small letters are one character longer
    assert caseless_units(text).ends_U[-1] == len(text)
    assert (caseless_units("Abc dE").hashes_U == caseless_units("abc de").hashes_U).all()


def test_senseless_params(tmp_path):
    for params in ({"max_documents": 0}, {"scope": "span", "min_units": 4}):
        with pytest.raises(RecipeError, match="at least"):
            run(tmp_path, [Document("a", "b")], params)
