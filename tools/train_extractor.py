"""Train the forest of `sampan.crawl.extractor` on the training half of the shared pages.

    python tools/train_extractor.py SHARED_DATA/web

A page is in the training half by a hash of its host (`sampan.crawl.gold.GoldPage`), so that no site is on both sides;
pages of the region's gold set are never trained on. The target of a block is the share of its letters that stand in
the gold text. Where a page has only strings that must and must not be there, blocks with such a string are labelled by
it, and the others by how many of three settings of Trafilatura (its output, run here) keep them, with less weight.
Three forests are written to `src/sampan/crawl/models`: of a page's own features; of these and a second opinion; and of
a page's features and what Resiliparse's rules, Trafilatura and Readability keep. The last learns nothing from blocks
that Trafilatura labelled. The same pages give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from boosting import Settings, train
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree
from transplant import transplant

from sampan.crawl.accuracy import kept_by_others
from sampan.crawl.blocks import Layout, scan
from sampan.crawl.extractor import MODEL, chosen, expected_f1, reconsidered, swayed, write
from sampan.crawl.features import OPINIONS, Page, features, opinions
from sampan.crawl.gold import GoldPage, host_share, read_gold, shingle_score, string_score
from sampan.crawl.page import decode
from sampan.crawl.second_opinion import kept_by_rules
from sampan.crawl.standing import shares
from sampan.crawl.trees import Forest, chances_of, save_forest

SETS = ("trafilatura_eval", "article_extraction_benchmark", "readability")
STORIES, STORY_WEIGHT = "storybooks", 0.2
"""Stories in the region's languages, all in one design: half of the stories, with little weight each."""
FOLDS = 4
COPIES, COPY_WEIGHT = 4, 0.25
SETTINGS = Settings(trees=140, depth=5, rate=0.08)
FORESTS = 4
"""Forests whose log odds are averaged, each with its own seed and its own mixed pages."""
SURE = 0.97
"""Expected F1 of a page above which no second opinion is asked for."""
KINDS = {
    "first": (),
    "asked": OPINIONS,
    "accuracy": tuple(source + name for source in ("", "trafilatura_", "readability_") for name in OPINIONS),
}
"""What each forest knows beside a page's own features."""
TRIED = (0.45, 0.5, 0.55, 0.6)
SHARES = {"first": 0.5, "accuracy": 0.55}
"""Share of the expected F1 that is the bar near the main element, of the default and of the accuracy option."""
OUTSIDE = 0.8
"""The bar elsewhere."""


@dataclass
class Row:
    """A page ready for training: its blocks, targets [B] and how sure they are [B]."""

    gold: GoldPage
    layout: Layout
    title: str
    target: np.ndarray
    known: np.ndarray
    """1 where the gold decides, 0 where Trafilatura's output stands in for it."""
    marks: np.ndarray
    """What Resiliparse's rules, Trafilatura and Readability keep. [B, 3]"""
    taught: bool
    """Whether the blocks that `known` leaves out were labelled by Trafilatura."""
    weight: float = 1.0

    def __post_init__(self) -> None:
        self.page = Page(self.layout, self.title)
        self.names, self.values = features(self.page)

    def inputs(self, kind: str) -> np.ndarray:
        """What the forest of a kind is asked with. [F, B]"""
        if kind == "first":
            return self.values
        known = self.marks.T[:1] if kind == "asked" else self.marks.T
        return np.concatenate([self.values, *(opinions(self.page, kept) for kept in known)])

    def weights(self) -> np.ndarray:
        """A page's blocks weigh 100 together, mostly by the square root of their mass."""
        mass = self.page.mass + 1
        weights = 100 * (0.3 * mass / mass.sum() + 0.7 * np.sqrt(mass) / np.sqrt(mass).sum())
        if self.taught:
            weights = 0.6 * weights + 3 * self.known
        return np.where(self.disputed(), 0, weights * self.weight)

    def weights_for(self, kind: str) -> np.ndarray:
        """The same, but nothing for blocks labelled by Trafilatura where a forest knows what that keeps."""
        return np.where(self.known > 0, self.weights(), 0) if kind == "accuracy" else self.weights()

    def disputed(self) -> np.ndarray:
        """Blocks on which the golds disagree, and this one is not followed: headlines, which the articles' gold leaves
        out, and captions, which only Readability's keeps. [B]"""
        value = dict(zip(self.names, self.values, strict=True))
        if self.gold.set == "readability":
            return (value["is_figcaption"] + value["near_caption"] + value["near_<figure>"]) > 0
        if self.taught or self.gold.set == STORIES:
            head = (value["titled"] > 0.4) | (value["is_h1"] > 0)
            return head & (self.known == 0) if self.taught else head
        return np.zeros(len(self.target), bool)


def teacher(html: str, texts: list[str]) -> np.ndarray:
    from trafilatura import extract

    kinds = ({}, {"fast": True}, {"favor_precision": True})
    outputs = [extract(html, include_comments=False, include_tables=True, **kind) or "" for kind in kinds]
    return np.mean([shares(texts, output) for output in outputs], axis=0)


def prepare(gold: GoldPage) -> Row | None:
    html = decode(gold.payload)[0]
    tree = HTMLTree.parse(html)
    layout = scan(tree.body.html)
    if not layout.texts:
        return None
    others = kept_by_others(html, layout.texts)
    others = np.zeros((2, len(layout.texts))) if others is None else others
    marks = np.stack([kept_by_rules(tree, layout.texts), *others], axis=1).astype(np.float32)
    title = " ".join((tree.title or "").split())
    known = np.ones(len(layout.texts))
    if "with" not in gold.row:
        target = shares(layout.texts, gold_text(gold))
        return Row(gold, layout, title, target, known, marks, False, STORY_WEIGHT if gold.set == STORIES else 1.0)
    known[:] = 0
    target = teacher(html, layout.texts)
    for strings, answer in ((gold.row["without"], 0.0), (gold.row["with"], 1.0)):
        for string in map(str.strip, strings):
            for block, text in enumerate(layout.texts):
                if string in " ".join(text.split()) or (len(text) > 25 and text in string):
                    target[block], known[block] = answer, 1
    return Row(gold, layout, title, target, known, marks, taught=True)


def gold_text(gold: GoldPage) -> str:
    return gold.row.get("gold_text") or extract_plain_text(gold.row["gold_html"])


def mixed(rows: list[Row], seed: int) -> list[Row]:
    """Pages with the main part of another page in the place of their own: `COPIES` for each, weighing less."""
    draw = np.random.default_rng(seed)
    made = []
    rows = [row for row in rows if row.gold.set != STORIES]
    for row in rows:
        for _ in range(COPIES):
            other = rows[draw.integers(len(rows))]
            new = transplant(row, other, draw)
            if new is not None:
                layout, target, known, marks = new
                taught = row.taught and other.taught
                made.append(Row(row.gold, layout, other.title, target, known, marks, taught, COPY_WEIGHT))
    return made


def fold_of(row: Row) -> int:
    return host_share(row.gold.host, 1) % FOLDS


def grow(rows: list[Row], seed: int, kind: str) -> Forest:
    values = np.concatenate([row.inputs(kind) for row in rows], axis=1)
    target = np.concatenate([row.target for row in rows])
    weight = np.concatenate([row.weights_for(kind) for row in rows])
    names = [*rows[0].names, *KINDS[kind]]
    return train(values, target, weight, names, replace(SETTINGS, seed=seed))


def fit(rows: list[Row]) -> dict[str, Forest]:
    """For each kind one forest with the trees of `FORESTS`, whose answers are divided by their number."""
    grown: dict[str, list[Forest]] = {kind: [] for kind in KINDS}
    for seed in range(FORESTS):
        all_rows = rows + mixed(rows, seed)
        for kind, forests in grown.items():
            forests.append(grow(all_rows, seed, kind))
    return {kind: together(forests) for kind, forests in grown.items()}


def together(grown: list[Forest]) -> Forest:
    found, cuts, leaves = (
        np.concatenate([getattr(forest, name) for forest in grown])
        for name in ("features_TD", "thresholds_TD", "leaves_TL")
    )
    bias = float(np.mean([forest.bias for forest in grown]))
    return Forest(grown[0].names, found, cuts, leaves / np.float32(len(grown)), bias)


def answers(row: Row, forests: dict[str, Forest]) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities of a page's blocks, as `extractor.judge` and the accuracy option find them. [B], [B]"""
    scores, accurate = forests["first"].scores(row.inputs("first")), forests["accuracy"].chances(row.inputs("accuracy"))
    said = chances_of(scores)
    if expected_f1(row.page, said) < SURE and swayed(row.page, scores, SHARES["first"], OUTSIDE):
        said = reconsidered(said, forests["asked"].chances(row.inputs("asked")), row.marks[:, 0])
    return said, accurate


def scores(rows: list[Row], chances: list[np.ndarray], share: float) -> dict[str, float]:
    """F1 per set."""
    found = {}
    kept = [chosen(row.page, c, share, OUTSIDE) for row, c in zip(rows, chances, strict=True)]
    texts = [write(row.layout, keep) for row, keep in zip(rows, kept, strict=True)]
    for name in SETS:
        pairs = [(text, row.gold) for text, row in zip(texts, rows, strict=True) if row.gold.set == name]
        if name == "trafilatura_eval":
            found[name] = string_score((text, gold.row) for text, gold in pairs)["f1"]
        else:
            found[name] = shingle_score((text, gold_text(gold)) for text, gold in pairs)["f1"]
    return {name: round(f1, 4) for name, f1 in found.items()}


def cross_validate(rows: list[Row]) -> dict[str, float]:
    """For the default and the accuracy option the bar that is best on pages of the training half that the forests have
    not seen; prints the scores."""
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for fold in range(FOLDS):
        forests = fit([row for row in rows if fold_of(row) != fold])
        found |= {id(row): answers(row, forests) for row in rows if fold_of(row) == fold}
    best = {}
    for side, kind in enumerate(SHARES):
        reached = {}
        for share in TRIED:
            f1 = scores(rows, [found[id(row)][side] for row in rows], share)
            print("cross-validated,", kind, share, f1, flush=True)
            reached[f1["trafilatura_eval"] + f1["article_extraction_benchmark"]] = share
        best[kind] = reached[max(reached)]
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("web", type=Path, help="the folder with the sets of pages")
    parser.add_argument("--out", type=Path, default=MODEL, help="path of the model without its suffix")
    parser.add_argument(
        "--no-cv", action="store_true", help="skip cross-validation and use the bars of the shipped models"
    )
    options = parser.parse_args()
    golds = [gold for name in (*SETS, STORIES) for gold in read_gold(options.web / name) if not gold.held_out]
    rows = [row for row in map(prepare, golds) if row is not None]
    print(len(rows), "pages,", sum(len(row.target) for row in rows), "blocks", flush=True)
    shares_of_f1 = SHARES if options.no_cv else cross_validate(rows)
    facts = {"pages": len(rows), "sets": [*SETS, STORIES]}
    bars = {"first": {"threshold_outside": OUTSIDE, "sure_of_f1": SURE}}
    for kind, forest in fit(rows).items():
        suffix = "" if kind == "first" else "_" + kind
        share = {"share_of_f1": shares_of_f1[kind]} if kind in shares_of_f1 else {}
        save_forest(options.out.with_name(options.out.name + suffix), forest, {**share, **bars.get(kind, {}), **facts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
