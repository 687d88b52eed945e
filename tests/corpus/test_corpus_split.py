"""Both sides of a split are apart and together whole; samples do not depend on the order."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.artifacts.documents import Document, read_documents, read_summary, write_documents
from sampan.core.errors import InputError
from sampan.core.identity import unit_interval
from sampan.core.stage import Artifact


@pytest.fixture
def source(tmp_path):
    def make(documents, name="in"):
        (tmp_path / name).mkdir()
        write_documents(tmp_path / name, documents)
        return Artifact(path=tmp_path / name, kind="documents", digest="0" * 64, name=name)

    return make


DOCUMENTS = [Document(f"d{n}", "x" * (n % 7 + 1), language=["tha_Thai", "lao_Laoo"][n % 2]) for n in range(400)]


def test_parts_are_apart_and_whole(source, run_stage):
    given_ = source(DOCUMENTS)
    ids = {}
    for part in ("train", "held_out"):
        _, made = run_stage("corpus.split", {"part": part, "held_out_share": 0.25}, {"documents": [given_]})
        ids[part] = [d.id for d in read_documents(made)]
        summary = read_summary(made)
        assert summary["documents"] + summary["dropped_documents"] == 400
    assert not set(ids["train"]) & set(ids["held_out"])
    assert len(ids["train"]) + len(ids["held_out"]) == 400
    # 400 draws at 0.25: 100 expected, standard deviation 8.7; four of them either side
    assert 65 <= len(ids["held_out"]) <= 135


def test_limits_and_order(source, run_stage):
    params = {"max_documents_per_language": 20, "max_bytes_per_language": 60}
    _, one = run_stage("corpus.split", params, {"documents": [source(DOCUMENTS)]})
    _, two = run_stage("corpus.split", params, {"documents": [source(DOCUMENTS[::-1], "back")]})
    assert {d.id for d in read_documents(one)} == {d.id for d in read_documents(two)}
    for counts in read_summary(one)["by_language"].values():
        assert counts["documents"] <= 20
        assert 54 <= counts["text_bytes"] <= 60


def test_languages_and_empty_parts(source, run_stage):
    given_ = source(DOCUMENTS)
    _, made = run_stage("corpus.split", {"languages": ["lo"]}, {"documents": [given_]})
    assert set(read_summary(made)["by_language"]) == {"lao_Laoo"}
    with pytest.raises(InputError, match="no document is left"):
        run_stage("corpus.split", {"part": "held_out", "held_out_share": 0}, {"documents": [given_]})


def test_memory_does_not_grow_with_the_documents(source, run_stage):
    peaks = []
    for size in (12_000, 36_000):
        given_ = source((Document(f"d{n}", "x", language="tha_Thai") for n in range(size)), f"in{size}")
        tracemalloc.start()
        run_stage("corpus.split", {"part": "held_out"}, {"documents": [given_]})
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # some 240 documents more are written, 4 bytes for each one read; an entry for each would be 250
    assert (peaks[1] - peaks[0]) / 24_000 < 25


@given(st.text(max_size=20), st.text(max_size=5))
def test_a_place_is_a_share_and_the_salt_moves_it(id_, salt):
    assert 0 <= unit_interval(salt, id_) < 1
    assert unit_interval(salt, id_) == unit_interval(salt, id_)
    assert unit_interval(salt, id_) != unit_interval(salt + "x", id_)
