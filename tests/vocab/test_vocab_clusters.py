"""New pieces do not cut inside a cluster unless asked, in both families (`test_vocab_joint` asks it of real text).

A piece is either (a part of) one cluster of the text, as made on the way to that cluster, or it stands somewhere in the
text with a cluster's end before it and a cluster's end after it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from vocab_clusters import SCRIPTS, bytes_of, cut_inside
from vocab_corpora import make_texts, run_stage

from sampan.lang.segment import clusters
from sampan.model.tokenizer import load_tokenizer
from sampan.vocab.expand import STAGE

LANGUAGES = ["tam_Taml", "tha_Thai", "lao_Laoo", "khm_Khmr", "mya_Mymr"]


@pytest.mark.parametrize("family", ["sentencepiece", "byte_level"])
def test_pieces_do_not_cut_clusters_unless_asked(bases, corpus, tmp_path, expanded, family):
    def found(folder: Path) -> list[bytes]:
        fresh = set(load_tokenizer(folder).get_vocab()) - set(load_tokenizer(bases[family]).get_vocab())
        return bytes_of(sorted(fresh), byte_level=family == "byte_level")

    texts = [text for language in LANGUAGES for text in make_texts(language)]
    pieces = found(expanded[family][0])
    words = [piece.decode("utf-8", "ignore") for piece in pieces]
    for low, high in SCRIPTS:  # of every script there are pieces of several clusters, or nothing would be tested
        assert any(low <= ord(word[0]) <= high and len(clusters(word)) > 1 for word in words)
    assert cut_inside(pieces, texts) == []
    given = {"base": bases[family], "documents": corpus}
    run_stage(STAGE, tmp_path / "cut", given, num_new_tokens=900, cut_graphemes=True)
    assert cut_inside(found(tmp_path / "cut"), texts)


def test_the_check_finds_planted_cuts():
    texts = ["படகு ஆற்றில்", "ที่บ้านเก่า"]
    good = ["படகு", "ஆற்றில்", "ட", "கு", "ที่บ้า", "ที", "่"]  # the last of each script are parts of one cluster
    bad = ["ுஆ", "ஆற", "றில", "ี่บ้", "บ้านเก", "படகுஆ"]
    assert cut_inside([piece.encode() for piece in good], texts) == []
    assert cut_inside([piece.encode() for piece in bad], texts) == [piece.encode() for piece in bad]
    assert cut_inside(["டகு".encode()[1:]], texts)  # from the middle of a character
