"""The report finds a model's training text by its lineage, and says what of it was searched."""

from __future__ import annotations

from dataclasses import replace

from recipe_report_example import MODELS, example

from sampan.artifacts.findings import Finding, Findings, Searched
from sampan.artifacts.item_values import Asked, ItemValues
from sampan.artifacts.scores import Score
from sampan.recipe.report import ReportData, StageView, render
from sampan.recipe.report.contamination import checks, lineage
from sampan.recipe.report.data import completed
from sampan.recipe.report.scoreboard import boards
from sampan.vocab.measurement import TASK

GRAPH = {
    # name: (stage, kind, inputs)
    "crawl": ("crawl.warc", "documents", {"files": ["warc"]}),
    "clean": ("corpus.clean", "documents", {"documents": ["crawl"]}),
    "unique": ("corpus.dedup", "documents", {"documents": ["clean"], "against": ["held_out"]}),
    "tokens": ("corpus.pack", "tokens", {"documents": ["unique"], "tokenizer": ["base"]}),
    "base": ("model.import", "checkpoint", {"files": ["hub"]}),
    "cpt": ("train.causal_lm", "checkpoint", {"model": ["base"], "tokens": ["tokens"], "held_out": ["held_tokens"]}),
    "chats": ("crawl.chat", "conversations", {"files": ["chat_files"]}),
    "sft": ("train.sft", "checkpoint", {"model": ["cpt"], "conversations": ["chats"]}),
    "judged": ("synth.self_preference", "preferences", {"model": ["sft"], "prompts": ["chats"]}),
    "dpo": ("train.preference", "checkpoint", {"model": ["sft"], "preferences": ["judged"], "reference": ["other"]}),
    "merged": ("merge.weights", "checkpoint", {"base": ["cpt"], "models": ["sft", "dpo"]}),
    "scratch": ("train.causal_lm", "checkpoint", {"model": ["start"], "tokens": ["tokens"]}),
    "start": ("model.init", "checkpoint", {"tokenizer": ["vocab"]}),
}
IDS = ["a", "b", "c", "d"]


def data(*searched: str, found: tuple[tuple[str, str, bool], ...] = (), models=("cpt", "sft")) -> ReportData:
    """A lineage in which the corpora `searched` were; `found` are (corpus, item, exact)."""
    stages = [
        StageView(name=name, stage=stage, kind=kind, inputs=inputs, digest=f"digest of {name}")
        for name, (stage, kind, inputs) in GRAPH.items()
    ]
    scores = [
        Score(model=model, model_digest="", task="quiz", language="tha_Thai", metric="acc", value=0.5, stderr=0.1, n=4,
              higher_is_better=True, prompt_digest="p", revision=1)
        for model in models
    ]  # fmt: skip
    values = [
        ItemValues(model=model, model_digest="", task="quiz", language="tha_Thai", metric="acc", prompt_digest="p",
                   revision=1, values=[1.0, 1.0, 0.0, 0.0])
        for model in models
    ]  # fmt: skip
    rows = [
        Finding(corpus=f"digest of {corpus}", task="quiz", language="tha_Thai", item=item, exact=exact, documents=1,
                document="d", text="t")
        for corpus, item, exact in found
    ]  # fmt: skip
    findings = Findings([f"digest of {name}" for name in searched], [Searched("quiz", "tha_Thai", IDS)], rows)
    return completed(
        ReportData(
            recipe="x", stages=stages, scores=scores, item_values=values, findings=(findings,) if searched else (),
            asked=[Asked("quiz", "tha_Thai", "p", IDS, [], [])],
        )
    )  # fmt: skip


def test_lineage_walks_to_what_was_searched():
    found = lineage(data("clean", "chats"), "sft")
    assert found.searched == {"digest of clean", "digest of chats"}
    assert (found.unsearched, found.imported) == (set(), {"base"})
    assert lineage(data("clean"), "scratch").gaps == []
    assert lineage(data("clean", "unique"), "cpt").searched == {"digest of unique"}  # the nearest one is what was read


def test_lineage_names_what_was_not_searched():
    found = lineage(data("chats"), "merged")
    assert found.unsearched == {"crawl", "judged"}  # what a model wrote is not the text that it was asked with
    assert found.gaps == [
        "crawl was not searched", "judged was not searched", "what base had read before is not known"
    ]  # fmt: skip
    assert lineage(data("judged", "chats", "crawl"), "merged").unsearched == set()
    assert "held_tokens" not in lineage(data(), "cpt").unsearched


def test_a_score_counts_only_what_its_own_model_has_read():
    found = checks(data("clean", "chats", found=(("clean", "a", True), ("chats", "a", False), ("chats", "b", False))))
    cpt, sft = (found[model, "quiz", "tha_Thai", "acc"] for model in ("cpt", "sft"))
    assert (cpt.exact, cpt.overlapping, cpt.n) == (1, 0, 4)
    assert (sft.exact, sft.overlapping) == (1, 1)
    assert cpt.value_without == 1 / 3  # b is right, c and d are wrong
    assert sft.value_without == 0


def test_scoreboard_says_seen_and_without_and_not_checked():
    page = render(data("clean", "chats", found=(("clean", "a", True),)))
    assert "1 of 4 seen in training, 0.333 without" in page
    assert "Contamination: 2 of 2 values checked, some with gaps" in page  # what `base` had read is not known
    page = render(data())
    assert "Contamination: not checked." in page
    assert "Not checked: no score&#x27;s items were looked for" in page


def test_a_model_that_read_nothing_that_was_searched_is_not_checked():
    (board,) = boards(data("chats", found=(("chats", "a", True),)))
    assert board.cells["cpt", "tha_Thai"].check is None
    assert board.cells["sft", "tha_Thai"].check.seen == 1


def test_measures_of_tokenizers_are_no_questions():
    one = data("clean")
    fertility = replace(one.scores[0], task=TASK, metric="tokens_per_word")
    page = render(replace(one, scores=[fertility]))
    assert "Contamination" not in page


def test_example_page_shows_the_table_and_the_gaps():
    page = render(example())
    section = page[page.index('id="contamination"') : page.index('id="fertility"')]
    assert "books was not searched" in section
    assert section.count("Thai") >= len(MODELS) - 2  # every model that read the decontaminated corpus
    clean = replace(example(), findings=tuple(replace(each, found=[]) for each in example().findings))
    assert "None of their items was found." in render(clean)
