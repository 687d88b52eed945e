"""lang.train_identifier: the licence list holds, ids decide the side, small sources keep their share, and it learns."""

import json
from collections import Counter

import numpy as np
import pytest

from sampan.core.errors import InputError
from sampan.core.params import parse_params
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.corpus.identifier_text import choose, even_quotas, mixed_pieces, pieces_of
from sampan.corpus.identifier_training import pool
from sampan.corpus.train_identifier import STAGE, Params
from sampan.lang.identifier import load_identifier
from sampan.lang.identify import identify

WORDS = {
    "xaa": "bana tolo miru kesa wipo naru",
    "xbb": "sching krott pfumel dratz wurgs blesch",
    "xcc": "ouilla veux cioux reille queau fleux",
    "xdd": "iddanu ukkessa ammelu uttira ekkona issapa",
}


def rows(license="CC0 1.0", documents=40):
    draw = np.random.default_rng(0)
    for number in range(documents):
        for label, words in WORDS.items():
            text = ". ".join(" ".join(draw.choice(words.split(), 9)) for _ in range(6))
            yield {"id": f"made/{number}", "lang": label, "text": text, "license": license}


def run(tmp_path, data, name="out", **params):
    path = tmp_path / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in data), encoding="utf-8")
    out = tmp_path / name
    out.mkdir()
    source = Artifact(path=path, kind="external", digest="0" * 64, name="made")
    given = parse_params(Params, {"bits": 10, "longest": 3, "batch_size": 16, **params}, where="test")
    return STAGE.run(given, Inputs({"documents": [source]}), Runtime(out=out, state=tmp_path / "state")), out


def test_it_learns_and_is_the_same_twice(tmp_path):
    metrics, out = run(tmp_path, rows())
    _, again = run(tmp_path, rows(), "again")
    for name in ("identifier.json", "weights.npy", "README.md"):
        assert (out / name).read_bytes() == (again / name).read_bytes(), name
    assert min(metrics["held_out_recall"].values()) > 0.95, "four vocabularies without a common word"
    model = load_identifier(out)
    assert identify("Wurgs dratz sching blesch krott!", model).label == "xbb"


def test_labels_outside_the_list_are_pooled(tmp_path):
    metrics, out = run(tmp_path, rows(), languages=["xaa", "xbb"], other_classes=1)
    assert set(metrics["held_out_recall"]) == {"xaa", "xbb", "other-00"}
    assert json.loads((out / "identifier.json").read_text())["pooled"] == {"other-00": ["xcc", "xdd"]}


def test_only_listed_licences_are_used(tmp_path):
    data = [*rows(), *({**row, "id": "sa/" + row["id"]} for row in rows("CC BY-SA 4.0 (repo CC0 1.0)", 5))]
    _, out = run(tmp_path, data, licenses=["CC0 1.0"])
    text = json.loads((out / "identifier.json").read_text())["text"]
    assert list(text["characters"]) == ["made (CC0 1.0)"]
    assert text["documents_refused_by_licence"] == {"CC BY-SA 4.0 (repo CC0 1.0)": 20}
    with pytest.raises(InputError, match="two labels"):
        run(tmp_path, data, "none", licenses=["CC0"])


def test_held_out_text_is_a_bounded_sample(tmp_path):
    path = tmp_path / "made.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(documents=200)), encoding="utf-8")
    source = Artifact(path=path, kind="external", digest="0" * 64, name="made")
    limit = 1000
    chosen = [
        choose(parse_params(Params, {"max_held_out_characters": most}, where="test"), [source])
        for most in (limit, 10**9)
    ]
    sizes = [{label: sum(map(len, texts)) for label, texts in one.held_out.items()} for one in chosen]
    assert min(sizes[1].values()) > 4 * limit
    assert 0 < max(sizes[0].values()) < 2.5 * limit  # texts of some 300 characters, 3 of them expected
    assert chosen[0].train == chosen[1].train


def test_translations_stay_on_one_side(tmp_path):
    path = tmp_path / "made.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    source = Artifact(path=path, kind="external", digest="0" * 64, name="made")
    chosen = choose(parse_params(Params, {}, where="test"), [source])
    assert len({len(texts) for texts in chosen.held_out.values()}) == 1
    assert 0 < len(chosen.held_out["xaa"]) < 15
    assert len(chosen.train["xaa"]) + len(chosen.held_out["xaa"]) == 40


def test_quotas_keep_small_sources_whole():
    quotas = even_quotas(Counter(a=10, b=1000, c=500), 810)
    assert quotas == {"a": 10, "b": 400, "c": 400}
    assert even_quotas(Counter(a=10), 100) == {"a": 10}


def test_pieces_hold_the_words_in_order_but_for_names():
    text = "one Two three `code` four Five six seven eight nine ten"
    assert " ".join(pieces_of(text, np.random.default_rng(0), 0.0)) == text.replace("`code` ", "")
    assert "Two" not in " ".join(pieces_of(text, np.random.default_rng(0), 1.0))


def test_mixed_pieces_keep_their_own_words_and_borrow_a_run():
    own, lender = ["a b c d e f g h"] * 20, ["1 2 3 4 5 6 7 8 9"]
    mixed = list(mixed_pieces(own, lender, np.random.default_rng(0), 1.0))
    assert len(mixed) == 20
    for piece in mixed:
        assert [word for word in piece.split() if word.isalpha()] == own[0].split()
        digits = [word for word in piece.split() if word.isdigit()]
        assert digits == lender[0].split()[: len(digits)]
        assert 1 <= len(digits) <= 6, "0.2 to 0.8 of eight words"


def test_pools_put_like_with_like():
    def piece(*places):
        return np.array(places), np.ones(len(places), np.float32)

    labels = ["own", "p1", "p2", "q1", "q2"]
    pieces = [piece(9), piece(1, 2, 3), piece(1, 2, 4), piece(5, 6, 7), piece(5, 6, 8)]
    found = pool(labels, pieces, {"own"}, 2, 16)
    assert found["p1"] == found["p2"] != found["q1"] == found["q2"]
