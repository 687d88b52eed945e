"""Duplicates go, one of each set stays, whatever the order, the shards and the workers; marks make other words."""

import itertools
import random

import corpus_dedup_engine as engine
import numpy as np
import pytest
from corpus_dedup_engine import ALPHABETS, edited, four_workers, rows, run_dedup, text_of
from hypothesis import given, settings
from hypothesis import strategies as st

import sampan.corpus.deduplication as deduplication
import sampan.corpus.near as near
import sampan.corpus.spill as spill
from sampan.artifacts.documents import Document
from sampan.core.errors import InputError
from sampan.corpus.components import components
from sampan.corpus.minhash import bands, found
from sampan.corpus.shingles import digest, folded, jaccard, shingles

N = {"word_ngram": 3, "cluster_ngram": 3}


def same(text):
    return digest(folded([text])[0])


def one(text, **ngrams):
    return shingles([text], **{**N, **ngrams})[0]


@pytest.mark.parametrize("language", ALPHABETS)
def test_recall_of_planted_near_duplicates_and_no_false_ones(tmp_path, language):
    chance = random.Random(7)
    originals = [text_of(chance, language, 150) for _ in range(120)]
    copies = [edited(chance, text, language, 0.05) for text in originals]
    documents = [Document(f"{kind}{n}", t) for kind, ts in (("o", originals), ("c", copies)) for n, t in enumerate(ts)]
    kept, metrics, _ = run_dedup(tmp_path, {"documents": [documents]})
    assert {int(d.id[1:]) for d in kept} == set(range(120))  # every set keeps one
    # each of 8 edits costs at most 3 of 148 n-grams on either side: similarity 0.73 or more, found with 0.9998
    assert metrics["dropped"] == {"near_duplicate": 120}


def test_the_result_does_not_depend_on_order_shards_or_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(spill, "BUCKET_RECORDS", 700)  # several key ranges
    monkeypatch.setattr(near, "WINDOW", 3)
    chance = random.Random(3)
    base = [text_of(chance, language, 80) for language in ALPHABETS for _ in range(6)]
    languages = [language for language in ALPHABETS for _ in range(6)]
    documents = [
        Document(f"{n}-{v}", edited(chance, t, language, 0.02 * v), source="ab"[v % 2])
        for n, (t, language) in enumerate(zip(base, languages, strict=True))
        for v in range(5)
    ]
    documents += [Document("same", base[0].upper()), Document("0-0", base[0], source="a")]
    expected = None
    for seed, parts, run in ((1, 1, None), (2, 5, None), (3, 3, four_workers), (4, 1, None)):
        random.Random(seed).shuffle(documents)
        kept, metrics, _out = run_dedup(tmp_path, {"documents": [documents]}, engine=run, parts=parts)
        result = rows(kept), metrics["dropped"]
        expected = expected or result
        assert result == expected
        if parts == 1:
            places = [d.id + d.text for d in documents]
            order = [places.index(d.id + d.text) for d in kept]
            assert order == sorted(order)
    again, _, _ = run_dedup(tmp_path, {"documents": [kept]})
    assert rows(again) == rows(kept)


def test_ids_that_are_places_do_not_decide(tmp_path):
    chance = random.Random(12)
    base = [text_of(chance, "mya_Mymr", 70) for _ in range(20)]
    texts = [text[:k] + letter + text[k + 1 :] for text in base for k, letter in enumerate("ကခဂ", 20)]
    expected = None
    for _ in range(3):
        chance.shuffle(texts)
        kept, _, _ = run_dedup(tmp_path, {"documents": [[Document(str(n), text) for n, text in enumerate(texts)]]})
        found = {document.text for document in kept}
        expected = expected or found
        assert found == expected
    assert len(expected) == 20


def test_workers_do_not_change_a_byte(tmp_path):
    chance = random.Random(9)
    documents = [Document(str(n), text_of(chance, "tha_Thai", 40)) for n in range(60)]
    documents += [Document(f"c{d.id}", edited(chance, d.text, "tha_Thai", 0.05)) for d in documents[:30]]
    outs = [run_dedup(tmp_path, {"documents": [documents]}, engine=e, parts=4)[2] for e in (None, four_workers)]
    files = [{f.name: f.read_bytes() for f in out.iterdir()} for out in outs]
    assert files[0] == files[1]
    assert len(files[0]) >= 3


def test_a_killed_run_goes_on(tmp_path, monkeypatch):
    documents = [Document(str(n), text_of(random.Random(n), "khm_Khmr", 40)) for n in range(30)]
    source = engine.documents_artifact(tmp_path / "in", documents, 3)
    spec = engine.STAGES.load("corpus.dedup")
    params = engine.parse_params(spec.params, {}, where="test")
    real, calls = engine.run_job, []

    def run(jobs, on_done):
        for job in jobs:
            calls.append((job.function, job.folder.name))
            if len(calls) == 5:
                raise KeyboardInterrupt
            real(job)
            on_done(job)

    for attempt in range(2):
        out = tmp_path / f"out{attempt}"
        out.mkdir()
        runtime = engine.Runtime(out=out, state=tmp_path / "state", run_shards=run)
        if attempt == 0:
            with pytest.raises(KeyboardInterrupt):
                spec.run(params, engine.Inputs({"documents": [source]}), runtime)
        else:
            spec.run(params, engine.Inputs({"documents": [source]}), runtime)
    assert len(calls) - 1 == len(set(calls))  # only the job that broke off ran twice


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text("กขา่ ab", min_size=1, max_size=12), min_size=1, max_size=12))
def test_exact_keeps_one_of_each(tmp_path_factory, texts):
    documents = [Document(str(n), text) for n, text in enumerate(texts)]
    kept, _, _ = run_dedup(tmp_path_factory.mktemp("x"), {"documents": [documents]}, {"method": "exact"})
    names = {same(text) for text in texts}
    assert len(kept) == len(names)
    assert {same(d.text) for d in kept} == names


def test_which_one_stays(tmp_path):
    text = text_of(random.Random(1), "ind_Latn", 100)
    documents = [
        Document("short", text, quality="head", source="web"),
        Document("long", text + " tambahan", quality="tail", source="wiki"),
        Document("middle", text.upper() + "!", quality="middle", source="books"),
    ]
    for params, best in (
        ({}, "long"),
        ({"keep": "quality"}, "short"),
        ({"keep": "first_source", "source_order": ["books", "web"]}, "middle"),
        ({"keep": "first_source", "source_order": ["web"]}, "short"),
    ):
        kept, metrics, _ = run_dedup(tmp_path, {"documents": [documents]}, params)
        assert [d.id for d in kept] == [best]
        assert metrics["dropped"] == {"near_duplicate": 2}
    kept, _, _ = run_dedup(tmp_path, {"documents": [documents[:1], documents[1:]]}, {"keep": "first_source"})
    assert [d.id for d in kept] == ["short"]


def test_against_an_earlier_corpus(tmp_path):
    chance = random.Random(2)
    texts = [text_of(chance, "tha_Thai", 90) for _ in range(6)]
    new = [Document(f"n{n}", text) for n, text in enumerate(texts)]
    new += [Document("same", texts[0] + " "), Document("again", texts[5] + " ")]
    earlier = [Document("old0", texts[0]), Document("old1", edited(chance, texts[1], "tha_Thai", 0.05) + "กก")]
    for parts in (1, 3):
        kept, metrics, out = run_dedup(tmp_path, {"documents": [new], "against": [earlier]}, parts=parts)
        assert {d.text.strip() for d in kept} == set(texts[2:])
        assert metrics["dropped"] == {"duplicate_of_earlier": 3, "exact_duplicate": 1}
        assert metrics["documents_in"] == 8
    assert texts[1][:50] in (out / "summary.json").read_text()


def test_copies_are_counted_and_add_up(tmp_path):
    chance = random.Random(4)
    text = text_of(chance, "khm_Khmr", 90)
    documents = [Document("a", text), Document("b", text), Document("c", text + "កក"), Document("d", "ខគង")]
    kept, _, _ = run_dedup(tmp_path, {"documents": [documents]}, {"count_copies": True})
    assert {d.id: d.meta["copies"] for d in kept} == {"c": 3, "d": 1}
    more, _, _ = run_dedup(tmp_path, {"documents": [kept, documents[:2]]}, {"count_copies": True})
    assert {d.id: d.meta["copies"] for d in more} == {"c": 5, "d": 1}


def test_without_documents(tmp_path):
    with pytest.raises(InputError, match="no document"):
        run_dedup(tmp_path, {"documents": [[]]})


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("ล้าน มี ป่า", "ลาน ม ปา"),
        ("má mạ mà mã", "ma ma ma ma"),
        ("ការ កូរ", "កើរ កួរ"),
    ],
)
def test_marks_make_other_words(text, other):
    assert same(text) != same(other)
    assert jaccard(one(text), one(other)) == 0


def test_folding_keeps_places():
    texts = ["İSTANBUL straße\u3000\u00a0x", "", "ÁÉ ЖΣ\n\t😀\ud800", "ล้าน"]
    assert folded(texts) == ["İstanbul straße  x", "", "áé жσ  😀\ud800", "ล้าน"]
    assert same("A b\n c") == same("ab\u00a0 C") != same("ab d")


def test_shingles_are_the_sets_of_ngrams():
    """Equal sizes and overlaps as Python's own sets of tuples, so the hashing loses nothing; batches do not mix."""
    chance = random.Random(5)
    texts = [text_of(chance, "ind_Latn", n) for n in (80, 2, 60)] + ["", "ก ข ค ง ก ข ค", "ก"]
    texts[2] += " " + texts[0][:200]
    hashes, offsets = shingles(texts, word_ngram=3, cluster_ngram=2)
    hashed = [hashes[a:b] for a, b in itertools.pairwise(offsets)]
    grams = []
    for text in texts:
        units, n = text.split(), 2 if "ก" in text else 3
        grams.append({tuple(units[k : k + n]) for k in range(max(1, len(units) - n + 1))} if units else set())
    assert [len(g) for g in grams] == [len(h) for h in hashed]
    for a, x in zip(grams, hashed, strict=True):
        assert (np.diff(x.astype(np.int64)) > 0).all()
        for b, y in zip(grams, hashed, strict=True):
            assert jaccard(x, y) == pytest.approx(len(a & b) / max(1, len(a | b)))


def test_the_label_does_not_matter(tmp_path):
    text = text_of(random.Random(8), "ind_Latn", 60)
    documents = [Document("a", text, language="ind_Latn"), Document("b", text + " x", language="zsm_Latn")]
    kept, _, _ = run_dedup(tmp_path, {"documents": [documents]})
    assert [d.id for d in kept] == ["b"]


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
def test_bands_find_pairs_at_the_threshold(threshold):
    number, length = bands(200, threshold)
    assert number * length <= 200
    assert found(threshold, number, length) >= 0.95


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_components_are_what_paths_connect(edges):
    nodes, roots = components(np.array(edges, np.uint64).reshape(-1, 2))
    sets = {node: {node} for edge in edges for node in edge}
    for a, b in edges:
        union = sets[a] | sets[b]
        for node in union:
            sets[node] = union
    assert dict(zip(nodes.tolist(), roots.tolist(), strict=True)) == {node: min(s) for node, s in sets.items()}


def test_near_duplicates_are_not_missed_between_key_ranges(tmp_path, monkeypatch):
    monkeypatch.setattr(deduplication, "bucket_ranges", lambda records: [(k << 60, (k + 1) << 60) for k in range(16)])
    chance = random.Random(6)
    texts = [text_of(chance, "lao_Laoo", 60) for _ in range(30)]
    documents = [Document(f"{n}{k}", t + k * "ກ") for n, t in enumerate(texts) for k in range(2)]
    kept, _, _ = run_dedup(tmp_path, {"documents": [documents]}, parts=3)
    assert len(kept) == 30
