"""Targets: weights that languages get for a promise, counted on translations."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vocab_corpora import make_texts, run_stage, write_corpus

from sampan.core.errors import RecipeError, StageError
from sampan.core.params import parse_params
from sampan.vocab.expand import STAGE, Params
from sampan.vocab.targets import MARGIN, Target, adjusted

LANGUAGES = ("eng_Latn", "tha_Thai", "mya_Mymr")
VALUES = {"num_new_tokens": 110, "pad_to_multiple": 1, "min_frequency": 2}


class At(Target):
    """A target whose language costs `tokens`, whatever the tokenizer is."""

    def reached(self, tokenizer):
        return self.tokens


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, bases):
    """Documents of three languages and texts with the same id in all of them."""
    root = tmp_path_factory.mktemp("targets")
    rows = [
        {"id": f"story{number}", "text": text, "language": language}
        for language in LANGUAGES
        for number, text in enumerate(make_texts(language)[:10])
    ]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (root / "translations.jsonl").write_text("\n".join(lines), "utf-8")
    documents = write_corpus(root / "documents.jsonl", list(LANGUAGES))
    return {"base": bases["sentencepiece"], "documents": documents, "translations": root / "translations.jsonl"}


def test_a_target_is_worked_for_as_far_as_it_is_asked(inputs, tmp_path):
    """A low target makes its language shorter and the other longer, one that is met from the start changes no byte,
    and one between is met without going on to what the lowest gives."""
    plain = run_stage(STAGE, tmp_path / "plain", inputs, **VALUES)
    easy = run_stage(STAGE, tmp_path / "easy", inputs, targets={"mya": 99.0}, **VALUES)
    hard = run_stage(STAGE, tmp_path / "hard", inputs, targets={"mya": 0.1}, **VALUES)
    assert plain["targets"] == {}
    assert (tmp_path / "easy/tokenizer.json").read_bytes() == (tmp_path / "plain/tokenizer.json").read_bytes()
    most, least = (metrics["targets"]["mya_Mymr"] for metrics in (easy, hard))
    assert most["weight"] == 1.0
    assert least["weight"] == 4.0
    assert least["reached"] < most["reached"]
    assert hard["fertility"]["mya_Mymr"][1] < plain["fertility"]["mya_Mymr"][1]
    assert hard["fertility"]["tha_Thai"][1] > plain["fertility"]["tha_Thai"][1]
    wanted = (least["reached"] + most["reached"]) / 2 / MARGIN
    between = run_stage(STAGE, tmp_path / "between", inputs, targets={"mya": wanted}, **VALUES)["targets"]["mya_Mymr"]
    assert between["reached"] <= wanted
    assert 1.0 < between["weight"] < 4.0


def test_what_a_target_cannot_be_measured_on_is_said(inputs, tmp_path):
    alone = {role: path for role, path in inputs.items() if role != "translations"}
    with pytest.raises(StageError, match="nothing to measure the target of mya_Mymr on"):
        run_stage(STAGE, tmp_path / "none", alone, targets={"mya": 1.0}, **VALUES)
    for number, (values, reason) in enumerate(
        (
            ({"targets": {"en": 1.0}}, "eng_Latn has a target and does not grow together with others"),
            ({"targets": {"mya": 1.0}, "budgets": {"mya_Mymr": 5}}, "mya_Mymr has a target and does not grow together"),
            ({"targets": {"lo": 1.0}}, "no document in lao_Laoo"),
        )
    ):
        with pytest.raises(StageError, match=reason):
            run_stage(STAGE, tmp_path / str(number), inputs, **values, **VALUES)
    with pytest.raises(RecipeError):
        parse_params(Params, {"targets": {"mya": 0}}, where="test")


@given(st.floats(0.3, 3), st.floats(0.1, 5), st.floats(1, 4))
def test_a_weight_goes_where_its_target_is_and_stays_between_its_bounds(distance, least, above):
    """Up while behind, down while ahead, from what was given to four times that, and a bounded step at a time."""
    target = At("tha_Thai", 2.0, (), 2.0 * MARGIN * distance)
    weight = min(least * above, 4 * least)
    now = adjusted({"tha_Thai": weight}, {"tha_Thai": least}, [target], None)["tha_Thai"]
    assert least <= now <= 4 * least * (1 + 1e-9)
    assert now >= weight if distance > 1 else now <= weight
    assert 1 / 1.3 - 1e-9 <= now / weight <= 1.3 + 1e-9
    if abs(distance - 1) < 0.004:
        assert now == weight


def test_weights_that_follow_settle_on_the_target():
    """A language that gets shorter with the power -0.2 of its weight ends near its aim, from behind and from ahead."""
    for start, aim in ((1.2, 1.08), (1.2, 1.3)):
        weights = {"tha_Thai": 2.0}
        for _ in range(8):
            cost = start * weights["tha_Thai"] ** -0.2
            weights = adjusted(weights, {}, [At("tha_Thai", aim / MARGIN, (), cost)], None)
        final = start * weights["tha_Thai"] ** -0.2
        assert final == pytest.approx(aim, rel=0.006) if aim < start else weights["tha_Thai"] == 1.0
