"""The language model: its probabilities add up to one, and it prefers text to the same words shuffled."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.artifacts.documents import Document, write_documents
from sampan.core.errors import InputError
from sampan.corpus.ngram_lm import BEGIN, text_units, train_model
from sampan.corpus.ngram_table import NgramTable
from sampan.corpus.quality_training import auc
from sampan.corpus.scorers import load_scorer
from sampan.lang.units import unit_hash

TEXTS = ["the ferry leaves at six", "the ferry leaves the pier", "the dog waits at the pier", "a dog waits for a ferry"]


def hashes(texts, spaced=True):
    return np.concatenate([text_units(text, spaced) for text in texts])


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("context", ["the ferry", "the", "waits at", "never seen", ""])
def test_probabilities_add_up_to_one(order, context):
    """Over every known unit and the unknown one. A byte holds a log-probability to 1/16 of a bit, 4.4 %."""
    model = train_model(hashes(TEXTS), order=order, spaced=True, max_ngrams=10_000)
    words = sorted({word for text in TEXTS for word in text.split()})
    whole, _ = model.bits(context)
    total = sum(2 ** -(model.bits(f"{context} {word}")[0] - whole) for word in [*words, "unheard"])
    assert total == pytest.approx(1, abs=0.05)


def test_hand_worked_bigram():
    """Kneser-Ney with the fallback discounts 0.5, 1, 1.5 (too few counts of counts), worked by hand.

    Texts "a b", "a b", "a c". Bigrams: (begin a) 3, (a b) 2, (a c) 1. Continuation counts of a, b and c are 1 each.
    p(a) = p(b) = p(c) = 0.5/3 + (1.5/3)/4 = 0.2917, p(unknown) = 0.125.
    p(b | a) = (2 - 1)/3 + (1 + 0.5)/3 * 0.2917 = 0.4792; p(c | a) = 0.5/3 + 0.5 * 0.2917 = 0.3125.
    """
    model = train_model(hashes(["a b", "a b", "a c"]), order=2, spaced=True, max_ngrams=100)
    first, _ = model.bits("a")
    assert 2**-first == pytest.approx(1.5 / 3 + 1.5 / 3 * 0.2917, rel=0.045)
    assert 2 ** -(model.bits("a b")[0] - first) == pytest.approx(0.4792, rel=0.045)
    assert 2 ** -(model.bits("a c")[0] - first) == pytest.approx(0.3125, rel=0.045)
    assert model.unknown_bits == pytest.approx(3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 400), st.integers(0, 99))
def test_table_finds_what_it_holds(count, seed):
    keys = np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)  # as hashes are
    bits, backoffs = np.linspace(0, 31, len(keys)), np.linspace(0, 15, len(keys))
    table = NgramTable.build(keys, bits, backoffs)
    found, got, weights = table.look_up(keys)
    assert found.sum() >= 0.97 * count - 3  # 8 slots at half load or less: about 1 % find no room
    sure = found & (np.abs(got - bits) <= 1 / 16) & (np.abs(weights - backoffs) <= 1 / 32)
    assert sure.sum() >= found.sum() - 1  # two keys may share a bucket and 15 bits


def test_pruning_keeps_units_and_the_frequent():
    full = train_model(hashes(TEXTS), order=3, spaced=True, max_ngrams=10_000)
    cut = train_model(hashes(TEXTS), order=3, spaced=True, max_ngrams=15)
    for word in ["the", "ferry", "leaves", "at", "six", "pier", "dog", "waits", "for", "a"]:
        assert (
            cut.table.look_up(np.array([unit_hash(word)], np.uint64))[0].all()
            == full.table.look_up(np.array([unit_hash(word)], np.uint64))[0].all()
        )
    assert cut.bits("the ferry leaves")[0] >= full.bits("the ferry leaves")[0]


def test_texts_do_not_run_into_each_other():
    """No n-gram spans two texts: 'six the' was never said."""
    model = train_model(hashes(TEXTS), order=2, spaced=True, max_ngrams=10_000)
    after_begin = model.bits("the")[0]
    assert after_begin < model.bits("six the")[0] - model.bits("six")[0]
    assert (hashes(TEXTS) == BEGIN).sum() == len(TEXTS)


def write(folder, rows):
    folder.mkdir()
    write_documents(folder, [Document(id=f"d{n}", text=text, language=code) for n, (text, code) in enumerate(rows)])
    return folder


def test_stage_is_deterministic_and_bounded(run_stage, tmp_path):
    rows = [(text * 3, "eng_Latn") for text in TEXTS * 10] + [("ฝนตกหนักตั้งแต่เช้า", "tha_Thai"), ("x", "xxx")]
    folder = write(tmp_path / "a", rows)
    params = {"max_units_per_language": 200, "held_out_share": 0.2}
    metrics, made = run_stage("corpus.train_lm", params, {"documents": [folder]})
    _, again = run_stage("corpus.train_lm", params, {"documents": [folder]})
    assert made.digest == again.digest
    assert set(metrics["by_language"]) == {"eng_Latn", "tha_Thai"}
    assert metrics["by_language"]["eng_Latn"]["units"] <= 200
    assert metrics["by_language"]["eng_Latn"]["held_out_perplexity"] > 1
    scorer = load_scorer(made.path)
    assert scorer.score("the ferry leaves", "eng_Latn") > scorer.score("leaves ferry the", "eng_Latn")
    assert scorer.score("the ferry", "lao_Laoo") is None
    assert scorer.score("...", "eng_Latn") is None
    with pytest.raises(InputError, match="no text in a language"):
        run_stage("corpus.train_lm", {}, {"documents": [write(tmp_path / "b", [("x", "xxx")])]})


def test_documents_without_a_unit_teach_nothing(run_stage, tmp_path):
    """A model of them alone would be made of nan."""
    (tmp_path / "marks.jsonl").write_text('{"text": "... !!!", "language": "th"}\n{"text": "", "language": "th"}\n')
    with pytest.raises(InputError, match="no text in a language"):
        run_stage("corpus.train_lm", {}, {"documents": [tmp_path / "marks.jsonl"]})
    (tmp_path / "some.jsonl").write_text('{"text": "... !!!", "language": "th"}\n{"text": "กาแฟ", "language": "th"}\n')
    metrics, _ = run_stage("corpus.train_lm", {}, {"documents": [tmp_path / "some.jsonl"]})
    assert metrics["documents"] == 1


def test_kenlm_folder_is_read_where_kenlm_is_installed(monkeypatch, tmp_path):
    (tmp_path / "th.arpa.bin").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "kenlm", None)
    with pytest.raises(InputError, match="kenlm is not installed"):
        load_scorer(tmp_path)

    class Library:
        class Model:
            def __init__(self, path):
                assert path.endswith("th.arpa.bin")

            def score(self, text, bos, eos):
                return -len(text.split())  # one power of ten a unit

    monkeypatch.setitem(__import__("sys").modules, "kenlm", Library)
    scorer = load_scorer(tmp_path)
    assert scorer.score("ฝนตก", "tha_Thai") == pytest.approx(-np.log2(10))
    assert scorer.score("rain", "eng_Latn") is None
    with pytest.raises(InputError, match="neither a scorer"):
        load_scorer(write(tmp_path / "docs", [("x", "eng_Latn")]))


SCRIPTS = {
    "tha_Thai": "th/ntrex128 th/thaigov",
    "khm_Khmr": "km/ntrex128 km/wikipedia",
    "mya_Mymr": "my/ntrex128 my/voa_unicode",
    "lao_Laoo": "lo/ntrex128",
    "zho_Hans": "zh/ntrex128",
    "vie_Latn": "vi/ntrex128 vi/viwiki",
    "eng_Latn": "en/ntrex128",
    "ind_Latn": "id/ntrex128",
    "msa_Latn": "ms/ntrex128",
    "tgl_Latn": "tl/ntrex128",
    "tam_Taml": "ta/ntrex128 ta/tico19",
    "jav_Latn": "jv/wikipedia_sentences",
    "sun_Latn": "su/tts_prompts",
}


@pytest.mark.shared
@pytest.mark.parametrize("code", SCRIPTS)
def test_clean_text_ranks_above_its_words_shuffled(code, shared):
    """Trained on every second document, measured on the others: 0.96 or more, but for Javanese (0.93: sentences without
    order or punctuation) and Tamil (0.76: long words, seldom met twice in so little text)."""
    from sampan.artifacts.documents import read_documents
    from sampan.lang.profile import load_profile
    from sampan.lang.segment import words

    texts = [
        document.text
        for name in SCRIPTS[code].split()
        for document in read_documents(shared / "data" / "text" / f"{name}.jsonl.gz")
    ]
    spaced, draw = load_profile(code).spaced, random.Random(0)
    model = train_model(hashes(texts[::2], spaced), order=3 if spaced else 5, spaced=spaced, max_ngrams=1_000_000)

    def score(text):
        bits, units = model.bits(text)
        return -bits / units

    def shuffled(text):
        units = words(text, code)
        return (" " if spaced else "").join(draw.sample(units, len(units)))

    good = np.array([score(text) for text in texts[1::2]])
    bad = np.array([score(shuffled(text)) for text in texts[1::2]])
    value = auc(good, bad)
    print(f"{code} {value:.3f}")
    assert value >= {"tam_Taml": 0.72, "jav_Latn": 0.9}.get(code, 0.95)
