"""Base tokens given away to new pieces: no growth, the rest of the vocabulary and the model in place, text intact."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sentencepiece
from safetensors.numpy import load_file, save_file
from vocab_corpora import MIXED, everything, make_texts, run_stage, write_corpus

from sampan.core.errors import RecipeError
from sampan.core.params import parse_params
from sampan.model.tokenizer import load_tokenizer
from sampan.vocab.expand import STAGE, Params
from sampan.vocab.growth import open_growth

FAMILIES = ["sentencepiece", "byte_level"]
NEW, GIVEN = 40, 40


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    """English that uses only some of the base's English, and Thai, Lao and Khmer."""
    path = write_corpus(tmp_path_factory.mktemp("replace") / "all.jsonl", ["tha_Thai", "lao_Laoo", "khm_Khmr"])
    rows = [{"text": text, "language": "eng_Latn"} for text in ["the boat goes down the river"] * 40]
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


@pytest.fixture(scope="module")
def replaced(tmp_path_factory, bases, documents):
    """Each base with a model of its size, and the same with tokens replaced: base folder, new folder, metrics."""
    root, made = tmp_path_factory.mktemp("replaced"), {}
    for family in FAMILIES:
        base = root / f"{family}_base"
        base.mkdir()
        for file in bases[family].iterdir():
            (base / file.name).write_bytes(file.read_bytes())
        rows = len(load_tokenizer(base))
        draw = np.random.default_rng(0)
        tables = {"model.embed_tokens.weight": (rows, 8), "lm_head.weight": (rows, 8), "model.norm.weight": (8,)}
        save_file(
            {name: draw.standard_normal(shape).astype(np.float32) for name, shape in tables.items()},
            base / "model.safetensors",
        )
        (base / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": rows}))
        given = {"base": base, "documents": documents}
        values = {"num_new_tokens": NEW, "replace": GIVEN, "min_frequency": 2}
        made[family] = (base, root / family, run_stage(STAGE, root / family, given, **values))
    return made


def report_of(folder):
    return json.loads((folder / "tokenizer_report.json").read_text("utf-8"))["replaced"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_vocabulary_keeps_its_size_and_every_other_id(replaced, family):
    base, out, metrics = replaced[family]
    before, after = load_tokenizer(base).get_vocab(), load_tokenizer(out).get_vocab()
    rows = report_of(out)
    assert metrics["replaced_tokens"] == len(rows) > 10
    assert len(after) == len(before) == metrics["vocab_size"]
    assert all(before[row["old"]] == row["id"] == after[row["new"]] for row in rows)
    fillers = {token for token in after if token.startswith("<|reserved_")}
    changed = {token for token in before if after.get(token) != before[token]}
    assert {row["old"] for row in rows} <= changed
    assert len(changed) == len(rows) + len(fillers - set(before))
    growth = open_growth(base, scripts=[])
    for token in changed:  # never a byte, nor a single character
        assert len(growth.raw(token).decode().removeprefix(" ")) > 1


@pytest.mark.parametrize("family", FAMILIES)
def test_new_pieces_are_reached_and_other_tokens_are_built_as_before(replaced, family):
    base, out, _ = replaced[family]
    old, new = load_tokenizer(base), load_tokenizer(out)
    rows = report_of(out)
    model, before = new.backend_tokenizer.model, old.backend_tokenizer.model
    for row in rows:
        assert [token.id for token in model.tokenize(row["new"])] == [row["id"]]
    gone = {row["old"] for row in rows}
    special = set(new.all_special_tokens)
    for token in old.get_vocab():
        if token in gone or token in special or token not in new.get_vocab():
            continue
        assert [t.id for t in model.tokenize(token)] == [t.id for t in before.tokenize(token)], token


@pytest.mark.parametrize("family", FAMILIES)
def test_text_survives_and_kept_text_stays(replaced, family):
    base, out, metrics = replaced[family]
    old, new = load_tokenizer(base), load_tokenizer(out)
    for text in [MIXED, *everything()]:
        ids = new(text, add_special_tokens=False)["input_ids"]
        assert new.decode(ids) == old.decode(old(text, add_special_tokens=False)["input_ids"]), text
    assert all(abs(row["change"]) <= Params().max_kept_change for row in metrics["kept"])
    for text in make_texts("tha_Thai")[:5]:
        assert len(new(text)["input_ids"]) < len(old(text)["input_ids"])


def test_sentencepiece_reads_the_replaced_model_alike(replaced):
    _, out, _ = replaced["sentencepiece"]
    other = sentencepiece.SentencePieceProcessor(model_file=str(out / "tokenizer.model"))
    new = load_tokenizer(out)
    for text in [MIXED, *everything()]:
        assert other.encode(text) == new(text, add_special_tokens=False)["input_ids"], text


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_rows_of_replaced_tokens_change(replaced, family):
    base, out, metrics = replaced[family]
    rows = [row["id"] for row in report_of(out)]
    before, after = load_file(base / "model.safetensors"), load_file(out / "model.safetensors")
    assert before["model.norm.weight"].tobytes() == after["model.norm.weight"].tobytes()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert after[name].shape == before[name].shape
        kept = np.setdiff1d(np.arange(len(before[name])), rows)
        assert before[name][kept].tobytes() == after[name][kept].tobytes()
        assert not (before[name][rows] == after[name][rows]).all(1).any()
    # A row is the mean of the rows that used to spell its token, at the usual length: the same direction.
    growth = open_growth(base, scripts=["Thai", "Laoo", "Khmr"])
    table = "model.embed_tokens.weight"
    for row in report_of(out):
        parts = [token.id for token in growth.base_tokenizer.model.tokenize(row["new"])]
        mean, now = before[table][parts].mean(0), after[table][row["id"]]
        assert mean @ now / np.linalg.norm(mean) / np.linalg.norm(now) == pytest.approx(1, abs=1e-5)  # float32
    assert json.loads((out / "config.json").read_text())["vocab_size"] == metrics["vocab_size"]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_over_is_added(bases, documents, tmp_path, family):
    """More new pieces than tokens to give: ids given away are filled first, and the vocabulary grows by the rest."""
    given = {"base": bases[family], "documents": documents}
    values = {"num_new_tokens": 100, "replace": 7, "min_frequency": 2, "pad_to_multiple": 1, "max_kept_change": 0.0}
    metrics = run_stage(STAGE, tmp_path / "out", given, **values)
    old, new = load_tokenizer(bases[family]), load_tokenizer(tmp_path / "out")
    assert metrics["replaced_tokens"] == 7
    assert metrics["kept"][0]["changed_documents"] == 0
    assert len(new) == len(old) + metrics["new_tokens"] - 7 > len(old)


def test_a_base_that_is_used_in_full_gives_nothing_away(bases, corpus, tmp_path):
    """Every token of the base is in some English document: with no tolerance nothing goes."""
    values = {"num_new_tokens": 40, "replace": 40, "max_kept_change": 0.0, "pad_to_multiple": 1}
    metrics = run_stage(STAGE, tmp_path / "out", {"base": bases["byte_level"], "documents": corpus}, **values)
    growth = open_growth(bases["byte_level"], scripts=[])
    used = set()
    for text in make_texts("eng_Latn"):
        used |= set(growth.original.encode(text).tokens)
    assert not used & {row["old"] for row in report_of(tmp_path / "out")}
    assert metrics["kept"][0]["changed_documents"] == 0


def test_less_than_none_is_refused():
    with pytest.raises(RecipeError, match="replace"):
        parse_params(Params, {"replace": -1}, where="test")
