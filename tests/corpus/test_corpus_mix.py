"""corpus.mix on documents: budgets realised in whole documents, the same whatever the order and the cut."""

import json
from collections import Counter

import pytest

from sampan.artifacts.documents import Document, read_documents, read_summary, write_documents
from sampan.core.errors import InputError, RecipeError
from sampan.core.identity import digest_tree
from sampan.core.stage import Artifact
from sampan.corpus.mix import STAGE


def documents(language, count, size, **values):
    return [Document(f"{language}{n}", f"{n:0{size}d}", language=language, **values) for n in range(count)]


WEB = documents("tha_Thai", 100, 10, source="web") + documents("lao_Laoo", 20, 10, source="web")
BOOKS = documents("eng_Latn", 50, 10, source="books/a") + documents("tha_Thai", 5, 7, source="books/b")


@pytest.fixture
def mix(run_stage, tmp_path):
    made = []

    def run(inputs=(WEB, BOOKS), tokenizer=None, **params):
        given = []
        for rows in inputs:
            folder = tmp_path / f"in-{len(made)}"
            folder.mkdir()
            write_documents(folder, rows)
            given.append(Artifact(path=folder, kind="documents", digest="0" * 64, name=folder.name))
            made.append(folder)
        roles = {"documents": given, **({"tokenizer": [tokenizer]} if tokenizer else {})}
        metrics, out = run_stage("corpus.mix", params, roles)
        return metrics, list(read_documents(out)), out

    return run


def sizes(rows, key=lambda row: row.language):
    total = Counter()
    for row in rows:
        total[key(row)] += len(row.text)
    return total


def test_shares_are_realised_within_a_document(mix):
    metrics, rows, out = mix(budget=700, shares={"th": 0.5, "lao_Laoo": 0.25, "1/eng_Latn": 0.25})
    assert metrics["budget"] == 700
    # never over, and short by less than one document of ten bytes
    for language, budget in {"tha_Thai": 350, "lao_Laoo": 175, "eng_Latn": 175}.items():
        assert budget - 10 < sizes(rows)[language] <= budget
    table = json.loads((out.path / "mixture.json").read_text())
    assert table["realised"] == sum(sizes(rows).values())
    budgets = {name: row["budget"] for name, row in table["sources"].items()}
    assert budgets == {"th": 350, "lao_Laoo": 175, "1/eng_Latn": 175}
    dropped = read_summary(out)["dropped"]
    assert set(dropped) == {"over_the_budget"}
    assert dropped["over_the_budget"]["eng_Latn"] == 50 - 17


def test_a_short_source_is_repeated_up_to_its_limit_and_the_rest_goes_to_the_others(mix):
    asked = {"budget": 800, "shares": {"lao_Laoo": 1, "eng_Latn": 1}, "max_epochs": 1.5}
    metrics, rows, _ = mix(**asked)
    lao = Counter(row.id for row in rows if row.language == "lao_Laoo")
    eng = Counter(row.id for row in rows if row.language == "eng_Latn")
    assert (len(lao), sum(lao.values()), max(lao.values())) == (20, 30, 2)
    assert (len(eng), sum(eng.values()), max(eng.values())) == (50, 50, 1)
    assert metrics["mixture"]["lao_Laoo"]["asked"] == 400
    assert metrics["mixture"]["lao_Laoo"]["epochs"] == 1.5
    with pytest.raises(
        RecipeError, match=r"'lao_Laoo' should give 400 and gives at most 300, 100 less\. A budget of 600"
    ):
        mix(**asked, overflow="refuse")
    with pytest.raises(RecipeError, match="is 100 more than the 1,050 that"):
        mix(**{**asked, "budget": 1150})


def test_sources_are_told_apart_and_groups_share(mix):
    named = [{"name": "books", "sources": ["books/*"]}, {"name": "web-tha", "inputs": [0], "languages": ["th"]}]
    groups = {"thai and books": {"members": {"books": 1, "web-tha": 1}, "alpha": 1}}
    metrics, rows, _ = mix(budget=600, shares={"thai and books": 3, "lo": 1}, groups=groups, sources=named)
    assert metrics["mixture"]["lo"]["budget"] == 150
    # 535 bytes of books and 1,000 of Thai web share 450 by size
    assert metrics["mixture"]["books"]["budget"] == round(450 * 535 / 1535)
    assert metrics["mixture"]["books"]["groups"] == ["thai and books"]
    assert {row.source for row in rows if row.language == "tha_Thai"} <= {"web", "books/b"}


def test_quality_buckets_have_their_shares_and_the_head_is_upsampled(mix):
    rows = [
        document
        for quality, count in {"high": 20, "middle": 40, "low": 30}.items()
        for document in documents("tha_Thai", count, 10, quality=quality)
    ]
    for number, row in enumerate(rows):
        row.id = f"{row.id}-{number}"
    shares = {"high": 0.25, "middle": 0.5, "low": 0.25}
    metrics, made, _ = mix([rows], budget=400, shares={"th": 1}, quality_shares=shares)
    assert sizes(made, lambda row: row.quality) == {"high": 100, "middle": 200, "low": 100}
    # tail over head is 1.5, so δ = 0.5: by size 200, 400 and 300 of 900 become 300, 400 and 200
    metrics, made, _ = mix([rows], budget=900, shares={"th": 1}, upsample_head=True)
    assert sizes(made, lambda row: row.quality) == {"high": 300, "middle": 400, "low": 200}
    assert metrics["mixture"]["th"]["quality"]["high"]["epochs"] == 1.5
    with pytest.raises(InputError, match="quality 'low', which quality_shares does not name"):
        mix([rows], budget=400, shares={"th": 1}, quality_shares={"high": 1, "middle": 1})


def test_quality_params_that_fit_nothing_are_an_error(mix):
    """They would do nothing, and nobody would know."""
    with pytest.raises(RecipeError, match="no source has both a head .'high'. and a tail .'low'.*corpus.quality first"):
        mix(budget=100, upsample_head=True)
    with pytest.raises(RecipeError, match="no document has a quality.*corpus.quality first"):
        mix(budget=100, quality_shares={"high": 1})
    rows = documents("tha_Thai", 10, 10, quality="head") + documents("lao_Laoo", 10, 10, quality="tail")
    with pytest.raises(RecipeError, match="The documents have: head, tail"):
        mix([rows], upsample_head=True)


def test_documents_without_language_ask_for_shares(mix):
    with pytest.raises(InputError, match="no document has a language to share by.*corpus.clean"):
        mix([documents("", 10, 10)])
    with pytest.raises(InputError, match="no document to mix"):
        mix([[]])


def test_the_names_of_buckets_are_those_of_corpus_quality():
    from sampan.corpus import quality

    params, buckets = STAGE.params(), quality.Params().buckets
    assert (params.head, params.tail) == (buckets[0], buckets[-1])


def test_the_same_documents_whatever_the_order_and_the_cut(mix, monkeypatch):
    asked = {"budget": 500, "shares": {"tha_Thai": 3, "eng_Latn": 2}}
    whole = mix(**asked)
    backwards = mix([WEB[::-1], BOOKS[::-1]], **asked)
    assert sorted(row.id for row in whole[1]) == sorted(row.id for row in backwards[1])
    assert mix(**asked, salt="another")[1] != whole[1]
    assert digest_tree(mix(**asked)[2].path) == digest_tree(whole[2].path)
    parted = [WEB[:50], WEB[50:90], WEB[90:], BOOKS[:20], BOOKS[20:]]
    cut = mix(parted, **asked)
    assert cut[2].path.joinpath("mixture.json").read_bytes() == whole[2].path.joinpath("mixture.json").read_bytes()
    assert [row.id for row in cut[1]] == [row.id for row in whole[1]]
    from sampan.corpus.mixing import realise

    jobs = realise.document_jobs
    cuts = []
    monkeypatch.setattr(realise, "document_jobs", lambda given: cuts.append(jobs(given, job_bytes=1)) or cuts[-1])
    assert [row.id for row in mix(parted, **asked)[1]] == [row.id for row in whole[1]]
    assert len(cuts[0]) == 5


def test_no_ratios_mean_unimax_and_no_budget_the_largest_that_keeps_them(mix):
    metrics, rows, _ = mix(max_epochs=1)
    assert {row["budget"] for row in metrics["mixture"].values()} == {200}
    assert sizes(rows)["lao_Laoo"] == 200
    metrics, rows, _ = mix(max_epochs=1, budget=900)
    assert sizes(rows)["lao_Laoo"] == 200
    # 350 for each of the others, in documents of 7 and 10 bytes
    assert sizes(rows)["eng_Latn"] == 350
    assert 340 < sizes(rows)["tha_Thai"] <= 350


def test_a_tokenizer_counts_tokens(mix, tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(tmp_path / "tokenizer")
    rows = [Document(f"d{n}", "word " * 5, language="eng_Latn") for n in range(20)]
    given = Artifact(path=tmp_path / "tokenizer", kind="tokenizer", digest="0" * 64, name="tokenizer")
    metrics, made, _ = mix([rows], tokenizer=given, budget=60)
    assert metrics["tokens"] == 60
    assert len(made) == 12


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"shares": {"tha_Tha": 1}}, "Did you mean 'tha_Thai'"),
        ({"shares": {"khm": 1}}, "no source, group or language 'khm'"),
        ({"shares": {"th": 1, "0/*": 1}}, "0/tha_Thai belong to both 'th' and '0/"),
        ({"shares": {"g": 1}, "groups": {"g": {"members": {}}}}, "groups.g: the group has no member"),
        ({"shares": {"none": 1}, "sources": [{"name": "none", "sources": ["wiki*"]}]}, "no document belongs to"),
        ({"sources": [{"name": "web", "inputs": [0]}]}, "Give every source a share"),
        ({"shares": {"th": 1}, "sources": [{"name": "a"}, {"name": "a"}]}, "a name of its own"),
        ({"shares": {"th": 1}, "budget": 0.5}, "not a whole number"),
        ({"shares": {"th": 1}, "budget": -1}, "budget must be 0 or more"),
        ({"shares": {"th": 1}, "max_epochs": 0}, "max_epochs must be above 0"),
    ],
)
def test_what_cannot_be_is_refused(mix, params, says):
    with pytest.raises(RecipeError, match=says.replace("*", r"\*")):
        mix(**params)


def test_the_forecast_is_the_budget():
    facts = {"documents": [{"documents": 100, "text_bytes": 1000}]}
    assert STAGE.estimate(STAGE.params(budget=500), facts)["documents"] == 50
    assert STAGE.estimate(STAGE.params(), facts)["text_bytes"] == 1000
