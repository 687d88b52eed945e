"""Buckets: exact shares, curated first, the same however the corpus is cut; the classifier says how well it learns."""

import numpy as np
import pytest

from sampan.artifacts.documents import Document, read_documents, write_documents
from sampan.core.errors import InputError, RecipeError
from sampan.corpus.bucketing import bucket_limits
from sampan.corpus.quality_training import auc

GOOD = "the ferry leaves the pier at six and the dog waits for the ferry in the rain until the evening comes"
SPAM = "buy cheap click here win cash now free bonus casino click buy win now cheap free cash here bonus now"


def mixed(share, words=40, seed=0):
    """A text with this share of spam words, in an order that has no meaning the more spam it has."""
    draw = np.random.default_rng(seed)
    good = " ".join(GOOD.split()[: round(words * (1 - share))])
    return f"{good} {' '.join(draw.choice(SPAM.split(), round(words * share)))}".strip()


def write(folder, documents):
    folder.mkdir(exist_ok=True)
    write_documents(folder, documents)
    return folder


@pytest.fixture
def web(tmp_path):
    """Forty English pages from good to spam, ten of an encyclopaedia, three in a language without a model."""
    rows = [("web", mixed(n / 40, seed=n), "eng_Latn") for n in range(40)]
    rows += [("en.wikipedia", SPAM, "eng_Latn")] * 10 + [("web", "ຝົນຕົກໜັກ", "lao_Laoo")] * 3
    return write(
        tmp_path / "web",
        [Document(id=f"d{n:02}", source=s, text=text, language=c) for n, (s, text, c) in enumerate(rows)],
    )


@pytest.fixture
def model(run_stage, tmp_path):
    texts = [" ".join(np.roll(GOOD.split(), 7 * n)) for n in range(12)]
    documents = [Document(id=f"g{n}", text=text, language="eng_Latn") for n, text in enumerate(texts)]
    return run_stage("corpus.train_lm", {"held_out_share": 0}, {"documents": [write(tmp_path / "good", documents)]})[1]


def by_bucket(made):
    return {document.id: document.quality for document in read_documents(made)}


def test_buckets_have_their_shares_and_their_order(web, model, run_stage):
    metrics, made = run_stage("corpus.quality", {"curated": ["*wiki*"]}, {"documents": [web], "scorers": [model]})
    found = by_bucket(made)
    pages = [found[f"d{n:02}"] for n in range(40)]
    assert [pages.count(name) for name in ("high", "middle", "low")] == pytest.approx([10, 20, 10], abs=1)
    assert set(pages[:8]) == {"high"}
    assert set(pages[-8:]) == {"low"}
    assert {found[f"d{n}"] for n in range(40, 50)} == {"high"}, "curated, whatever it says"
    assert {found[f"d{n}"] for n in range(50, 53)} == {""}, "no model speaks Lao"
    assert metrics["by_quality"]["high"] == pages.count("high") + 10
    assert len(list(read_documents(made))) == 53
    assert all(not document.meta for document in read_documents(made))


def test_result_does_not_depend_on_how_the_corpus_is_cut(web, model, run_stage, tmp_path):
    documents = list(read_documents(web))
    whole = by_bucket(run_stage("corpus.quality", {}, {"documents": [web], "scorers": [model]})[1])
    parts = [write(tmp_path / f"part{n}", documents[n::5]) for n in range(5)]
    apart = by_bucket(run_stage("corpus.quality", {}, {"documents": parts[::-1], "scorers": [model]})[1])
    assert apart == whole
    again = run_stage("corpus.quality", {}, {"documents": [web], "scorers": [model]})[1]
    assert again.digest == run_stage("corpus.quality", {}, {"documents": [web], "scorers": [model]})[1].digest


def test_reference_sets_the_limits(web, model, run_stage, tmp_path):
    """Against a reference of spam, every page but the worst is as good as its best quarter."""
    spam = [Document(id=f"s{n}", text=mixed(0.9, seed=99 + n), language="eng_Latn") for n in range(20)]
    inputs = {"documents": [web], "scorers": [model], "reference": [write(tmp_path / "spam", spam)]}
    found = by_bucket(run_stage("corpus.quality", {}, inputs)[1])
    assert all(found[f"d{n:02}"] == "high" for n in range(30))


def test_scores_and_own_bucket_names(web, model, run_stage):
    params = {"buckets": ["head", "tail"], "shares": [0.5, 0.5], "unscored": "tail", "keep_scores": True}
    _, made = run_stage("corpus.quality", params, {"documents": [web], "scorers": [model]})
    documents = list(read_documents(made))
    assert {document.quality for document in documents} == {"head", "tail"}
    assert documents[0].meta["quality_scores"][0] > documents[39].meta["quality_scores"][0]
    assert documents[-1].meta["quality_scores"] == [None]


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"shares": [0.5, 0.5]}, "as many"),
        ({"shares": [0.5, 0.5, 0.5]}, "add up to 1.5"),
        ({"buckets": ["a/b", "c", "d"]}, "cannot name a bucket"),
    ],
)
def test_wrong_params(params, says, web, model, run_stage):
    with pytest.raises(RecipeError, match=says):
        run_stage("corpus.quality", params, {"documents": [web], "scorers": [model]})


def test_needs_something_to_judge_by(web, run_stage, tmp_path):
    with pytest.raises(RecipeError, match="needs a scorer"):
        run_stage("corpus.quality", {}, {"documents": [web]})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "scorer.json").write_text('{"format": "sampan-scorer/1", "method": "identifier"}')
    with pytest.raises(InputError, match="does not judge quality"):
        run_stage("corpus.quality", {}, {"documents": [web], "scorers": [tmp_path / "other"]})


def test_limits_lie_nearest_to_the_shares():
    bins = {5: 2, 4: 2, 3: 4, 1: 1, 0: 1}
    assert bucket_limits(bins, [0.25, 0.5, 0.25]) == [5, 3]
    assert bucket_limits(bins, [0.4, 0.4, 0.2]) == [4, 3]
    assert bucket_limits({7: 1}, [0.25, 0.5, 0.25]) == [8, 7], "one document is in the middle"


def test_auc():
    assert auc(np.array([2.0, 3.0]), np.array([1.0, 2.0])) == (4 - 0.5) / 4
    assert auc(np.array([]), np.array([1.0])) is None


@pytest.fixture
def lists(tmp_path):
    """Good and ordinary texts in English, and good ones only in Thai."""
    draw = np.random.default_rng(1)
    good = [Document(id=f"g{n}", text=" ".join(draw.permutation(GOOD.split())), language="en") for n in range(150)]
    good += [Document(id=f"t{n}", text="ฝนตกหนักตั้งแต่เช้า", language="tha_Thai", license="MIT") for n in range(5)]
    bad = [Document(id=f"b{n}", text=mixed(0.4, seed=n), language="eng_Latn") for n in range(120)]
    return {"good": [write(tmp_path / "good", good)], "ordinary": [write(tmp_path / "bad", bad)]}


@pytest.mark.parametrize("per_language", [False, True])
def test_classifier_learns_and_measures_itself(per_language, lists, run_stage, web):
    params = {"hash_bits": 14, "per_language": per_language}
    metrics, made = run_stage("corpus.train_quality", params, lists)
    _, again = run_stage("corpus.train_quality", params, lists)
    assert made.digest == again.digest
    assert set(metrics["by_language"]) == {"eng_Latn"}, "of Thai only one side is known"
    assert metrics["by_language"]["eng_Latn"]["held_out_documents"] > 10
    assert metrics["auc"] == metrics["by_language"]["eng_Latn"]["auc"] > 0.95  # another random order of the same words
    assert metrics["licenses"] == ["MIT"]
    found = by_bucket(run_stage("corpus.quality", {}, {"documents": [web], "scorers": [made]})[1])
    assert found["d00"] == "high"
    assert found["d39"] == "low"
    assert found["d50"] == ""


def test_both_scorers_must_call_it_high(lists, model, web, run_stage):
    _, classifier = run_stage("corpus.train_quality", {"hash_bits": 14}, lists)
    both = by_bucket(run_stage("corpus.quality", {}, {"documents": [web], "scorers": [model, classifier]})[1])
    one, other = (
        by_bucket(run_stage("corpus.quality", {}, {"documents": [web], "scorers": [each]})[1])
        for each in (model, classifier)
    )
    order = {"high": 0, "middle": 1, "low": 2, "": 0}
    assert all(order[both[name]] == max(order[one[name]], order[other[name]]) for name in both)


def test_classifier_needs_both_sides_of_a_language(lists, run_stage, tmp_path):
    thai = write(tmp_path / "thai", [Document(id="t", text="ฝนตกหนักตั้งแต่เช้า", language="tha_Thai")])
    with pytest.raises(InputError, match="no language has both"):
        run_stage("corpus.train_quality", {}, {"good": [thai], "ordinary": lists["ordinary"]})


def texts(shared, language, *names):
    folder = shared / "data" / "text" / language
    return [document for name in names for document in read_documents(folder / f"{name}.jsonl.gz")]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("language", "reference", "good", "noisy", "bar"),
    [
        # A model of news prefers government news and encyclopaedic text to posts and lower-cased reviews: 0.99, 0.95.
        ("th", ["ntrex128"], ["thaigov", "ud_thai-pud"], ["wisesight_neu", "wisesight_pos"], 0.97),
        ("id", ["ntrex128"], ["tico19", "ud_indonesian-gsd"], ["smsa_reviews"], 0.93),
    ],
)
def test_language_model_ranks_edited_text_above_noisy_text(
    language, reference, good, noisy, bar, shared, run_stage, tmp_path
):
    from sampan.corpus.scorers import load_scorer
    from sampan.lang.codes import known_language

    folder = write(tmp_path / "reference", texts(shared, language, *reference))
    _, made = run_stage("corpus.train_lm", {}, {"documents": [folder]})
    scorer, code = load_scorer(made.path), known_language(language)
    first, second = (
        np.array([scorer.score(document.text, code) for document in texts(shared, language, *names)])
        for names in (good, noisy)
    )
    print(f"{language} {auc(first, second):.3f}")
    assert auc(first, second) >= bar


@pytest.mark.shared
def test_classifier_tells_edited_khmer_from_web_lines(shared, run_stage, tmp_path):
    """Held-out documents of the same sources, and whole sources that it never saw."""
    from sampan.corpus.scorers import load_scorer

    good = write(tmp_path / "good", texts(shared, "km", "wikipedia", "tico19"))
    web = write(tmp_path / "web", texts(shared, "km", "oscar_web"))
    metrics, made = run_stage("corpus.train_quality", {"hash_bits": 18}, {"good": [good], "ordinary": [web]})
    scorer = load_scorer(made.path)
    unseen = np.array([scorer.score(document.text, "khm_Khmr") for document in texts(shared, "km", "ntrex128")])
    lines = np.array([scorer.score(document.text, "khm_Khmr") for document in texts(shared, "km", "oscar_web")])
    print(f"held out {metrics['auc']:.3f}, unseen news {auc(unseen, lines):.3f}")
    assert metrics["auc"] >= 0.95


@pytest.mark.shared
def test_chinese_spam_pages_rank_below_medical_text(shared, run_stage, tmp_path):
    """Ten spam pages of a Common Crawl sample, whatever the extractor leaves of them: 0.95."""
    from sampan.corpus.scorers import load_scorer

    reference = write(tmp_path / "reference", texts(shared, "zh", "ntrex128", "ud_chinese-gsdsimp"))
    scorer = load_scorer(run_stage("corpus.train_lm", {"held_out_share": 0}, {"documents": [reference]})[1].path)
    _, crawled = run_stage("crawl.warc", {}, {"files": [shared / "data" / "web" / "warc" / "cc_sample_16.warc.gz"]})
    pages = [d.text for d in read_documents(crawled) if sum("\u4e00" <= char <= "\u9fff" for char in d.text) > 50]
    spam = np.array([scorer.score(text, "zho_Hans") for text in pages])
    good = np.array([scorer.score(document.text, "zho_Hans") for document in texts(shared, "zh", "tico19")])
    print(f"{len(pages)} pages, {auc(good, spam):.3f}")
    assert len(pages) >= 5
    assert auc(good, spam) >= 0.85
