"""Rows for new tokens by every method: what each promises, and what all of them leave alone."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import load_file

from sampan.core.errors import InputError, StageError
from sampan.model.checkpoint import load_model, save_model
from sampan.vocab.embeddings import grow_checkpoint
from sampan.vocab.expand import Params
from sampan.vocab.init import INITS
from sampan.vocab.init.auxiliary import auxiliary, common_vectors
from sampan.vocab.init.focus import focus, similar_tokens, sparsemax
from sampan.vocab.init.mean_subword import mean_subword
from sampan.vocab.init.weighted_subword import position_weights
from sampan.vocab.initialisation import NewTokens, Settings, Table, subword_mean
from sampan.vocab.norms import ENOUGH, match_norms
from tiny_model import save_tiny

OLD, NEW, WIDTH = 300, 84, 16
EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
SETTINGS = Settings(seed=0, max_tokens=4000)


def ids_of(texts):
    """The stand-in for a tokenizer: documents are written as ids."""
    return [[int(word) for word in text.split()] for text in texts]


@pytest.fixture(scope="module")
def new(tmp_path_factory) -> NewTokens:
    """80 tokens of two to four old parts and 4 reserved ones, documents that use them, and vectors of all words."""
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, OLD, rng.integers(2, 5)).tolist() for _ in range(NEW - 4)] + [[]] * 4
    documents = [" ".join(map(str, rng.integers(0, OLD + NEW - 4, 60))) for _ in range(80)]
    folder = tmp_path_factory.mktemp("vectors")
    names = [f"word{n}" for n in range(OLD + NEW - 4)] + [""] * 4
    np.savez(folder / "words.npz", tokens=np.array(names), vectors=rng.standard_normal((OLD + NEW, 8)))
    base = folder / "untied"
    return NewTokens(
        base=base, first=OLD, parts=parts, texts=names, documents=documents, encode=ids_of, vectors=folder / "words.npz"
    )


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def model(request, tmp_path_factory):
    return save_small(tmp_path_factory.mktemp("model") / "base", tied=request.param)


def save_small(folder, *, tied, rows=OLD, width=WIDTH):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=rows,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
        tie_word_embeddings=tied,
        initializer_range=0.5,
    )
    folder.mkdir()
    save_model(LlamaForCausalLM(config), folder)
    return folder


def table_of(new, *, side="tied", seed=(0, 0), old_VD=None):
    if old_VD is None:
        old_VD = np.random.default_rng(1).standard_normal((OLD, WIDTH)).astype(np.float32)
    return Table(old_VD=old_VD, side=side, new=new, seed=seed)


def without_vectors(new, name):
    """FOCUS learns its own vectors unless some are given."""
    return new if name == "auxiliary" else replace(new, vectors=None)


@pytest.mark.parametrize("name", list(INITS))
def test_what_every_method_keeps(tmp_path, model, new, name):
    """Old rows and all other weights bit for bit, the new size, and old tokens' logits and loss among them to 1e-5: the
    same sums over a wider matrix, whose kernels may add in another order."""
    grown = replace(without_vectors(new, name), base=model)
    facts = grow_checkpoint(model, tmp_path, grown, init=name, settings=SETTINGS)
    before, after = load_file(model / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert before.keys() == after.keys()
    for tensor, old in before.items():
        assert torch.equal(after[tensor][: len(old)], old), tensor
        assert after[tensor].shape[0] == (OLD + NEW if tensor in (EMBED, HEAD) else old.shape[0])
        assert torch.isfinite(after[tensor]).all()
    assert facts["embedding_matrices"] == len({EMBED, HEAD} & before.keys())
    assert facts["parameters"] == sum(tensor.numel() for tensor in after.values())
    assert json.loads((tmp_path / "config.json").read_text())["vocab_size"] == OLD + NEW
    ids = torch.arange(100)[None]
    with torch.inference_mode():
        old_VD, new_VD = load_model(model)(ids).logits[0], load_model(tmp_path)(ids).logits[0, :, :OLD]
    torch.testing.assert_close(new_VD, old_VD, rtol=0, atol=1e-5)
    loss = torch.nn.functional.cross_entropy
    torch.testing.assert_close(loss(new_VD[:-1], ids[0, 1:]), loss(old_VD[:-1], ids[0, 1:]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", list(INITS))
def test_same_seed_same_bytes(tmp_path, new, name):
    base = save_small(tmp_path / "base", tied=False)
    grown = replace(without_vectors(new, name), base=base)
    for out in ("one", "two"):
        (tmp_path / out).mkdir()
        grow_checkpoint(base, tmp_path / out, grown, init=name, settings=SETTINGS)
    one, two = ((tmp_path / out / "model.safetensors").read_bytes() for out in ("one", "two"))
    assert one == two


def test_the_parameter_knows_every_method():
    assert set(get_args(get_type_hints(Params)["init"])) == set(INITS)


def test_random_rows_scatter_as_old_ones(new):
    """Mean and deviation per column; 20 000 draws scatter by 0.7 % of the deviation, four times that is allowed."""
    many = replace(new, parts=[[]] * 20_000)
    scale_D = np.linspace(0.1, 3, WIDTH, dtype=np.float32)
    old_VD = np.random.default_rng(2).standard_normal((OLD, WIDTH)).astype(np.float32) * scale_D + 5
    rows_ND = INITS.load("random").rows(table_of(many, old_VD=old_VD), None)
    np.testing.assert_allclose(rows_ND.mean(0), old_VD.mean(0), atol=0.03 * scale_D.max())
    np.testing.assert_allclose(rows_ND.std(0), old_VD.std(0), rtol=0.03)


def test_mean_all_is_the_mean(new):
    table = table_of(new)
    rows_ND = INITS.load("mean_all").rows(table, None)
    # One float32 rounding of a float64 mean against a float32 sum of 300 numbers near 1.
    np.testing.assert_allclose(rows_ND, np.tile(table.old_VD.mean(0), (NEW, 1)), atol=1e-6)


def test_lengths_are_those_of_the_script(new):
    """Directions stay; lengths are the median of old rows in the token's script, or of all where those are few."""
    texts = ["ก" if n < ENOUGH else "a" if n < 2 * ENOUGH else "က" if n == 2 * ENOUGH else "" for n in range(OLD)]
    texts += ["ขา", "bc", "မ", *[""] * (NEW - 3)]
    table = table_of(replace(new, texts=texts))
    rows_ND, lengths_V = subword_mean(table), np.linalg.norm(table.old_VD, axis=1)
    scaled_ND = match_norms(rows_ND, table)
    wanted = [np.median(lengths_V[:ENOUGH]), np.median(lengths_V[ENOUGH : 2 * ENOUGH]), np.median(lengths_V)]
    # 1e-5: float32 divisions and roots of 16 numbers.
    np.testing.assert_allclose(np.linalg.norm(scaled_ND[:3], axis=1), wanted, rtol=1e-5)
    cosine_N = (rows_ND * scaled_ND).sum(1) / np.linalg.norm(rows_ND, axis=1) / np.linalg.norm(scaled_ND, axis=1)
    np.testing.assert_allclose(cosine_N, 1, atol=1e-5)
    np.testing.assert_array_equal(scaled_ND[-4:], rows_ND[-4:], "reserved tokens stay at the mean")


def test_a_row_of_zeros_does_not_divide(new):
    table = table_of(new, old_VD=np.zeros((OLD, WIDTH), np.float32))
    assert np.isfinite(mean_subword(table, None)).all()


def test_weights_by_position():
    """Three parts: 4 : 2 : 1 falling for the output, rising for the input, and their mean when both are one."""
    np.testing.assert_allclose(position_weights(3, "output"), np.array([4, 2, 1]) / 7, rtol=1e-6)
    np.testing.assert_allclose(position_weights(3, "input"), np.array([1, 2, 4]) / 7, rtol=1e-6)
    np.testing.assert_allclose(position_weights(3, "tied"), np.array([5, 4, 5]) / 14, rtol=1e-6)


@given(arrays(np.float64, (3, 7), elements=st.floats(-5, 5)))
def test_sparsemax_is_a_projection(scores):
    """On the simplex, and no other point of it (a corner, the middle) is nearer."""
    found = sparsemax(scores).astype(np.float64)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)  # float32
    for other in (*np.eye(7), np.full(7, 1 / 7)):
        assert (((found - scores) ** 2).sum(1) <= ((other - scores) ** 2).sum(1) + 1e-4).all()


def test_sparsemax_reference():
    """By hand: two scores 0.2 apart share as (1 + 0.2) / 2 and (1 - 0.2) / 2, one far below gets nothing."""
    np.testing.assert_allclose(sparsemax(np.array([[0.5, 0.3, -1.0]])), [[0.6, 0.4, 0]], atol=1e-6)


def test_focus_finds_the_token_of_the_same_company(new):
    """A new token that stands where old token 7 stands gets mostly its row."""
    rng = np.random.default_rng(3)
    documents = []
    for _ in range(300):
        words = rng.integers(10, 60, 12)
        company = rng.integers(60, 66, 12)  # 7 and the new token keep the company of 60..65
        middle = [7, OLD][rng.integers(2)]
        documents.append(" ".join(map(str, [*words, *company[:6], middle, *company[6:]])))
    fresh = replace(new, documents=documents, vectors=None)
    found = similar_tokens(fresh, replace(SETTINGS, max_tokens=10**6))
    place = found.numbers.index(0)
    best = found.ids[place][found.weights[place].argmax()]
    assert best in (7, *range(60, 66))
    table = table_of(fresh)
    np.testing.assert_allclose(focus(table, found)[0], found.weights[place] @ table.old_VD[found.ids[place]], rtol=1e-5)
    unseen = NEW - 1
    np.testing.assert_array_equal(focus(table, found)[unseen], match_norms(subword_mean(table), table)[unseen])


def test_vectors_are_the_eigenvectors_of_the_dense_matrix(new):
    """The products of vectors equal those of the dense decomposition, built another way: all eigenvectors are kept, so
    that the random projection loses nothing; 1e-3 for float32."""
    from sampan.vocab import static_vectors

    rng = np.random.default_rng(4)
    documents = [" ".join(map(str, rng.integers(0, 30, 40))) for _ in range(50)]
    have, vectors_KE = static_vectors.learn_vectors(replace(new, documents=documents), max_tokens=10**6, seed=0)
    pairs = np.zeros((30, 30))
    for ids in ids_of(documents):
        for a in range(len(ids)):
            for b in range(max(0, a - 5), min(len(ids), a + 6)):
                if a != b:
                    pairs[ids[a], ids[b]] += 1 / abs(a - b)
    context = pairs.sum(1) ** 0.75
    with np.errstate(divide="ignore"):
        dense = np.maximum(0, np.log(pairs / pairs.sum(1, keepdims=True) / (context / context.sum())))
    dense = (dense + dense.T) / 2
    values, turn = np.linalg.eigh(dense)
    np.testing.assert_array_equal(have, np.arange(30))
    np.testing.assert_allclose(vectors_KE @ vectors_KE.T, (turn * np.abs(values)) @ turn.T, atol=1e-3)


def test_budget_of_tokens_is_kept(new):
    few = similar_tokens(replace(new, vectors=None, documents=["1 2 300 " * 50]), replace(SETTINGS, max_tokens=60))
    assert few.numbers == [0]
    with pytest.raises(StageError, match="needs both"):
        similar_tokens(replace(new, vectors=None), replace(SETTINGS, max_tokens=3))


def test_auxiliary_recovers_a_linear_map(new):
    """Where rows are a linear image of the vectors, new rows point to theirs: cosine above 0.999 (1 % ridge)."""
    have, vectors_KE = common_vectors(new, SETTINGS)
    map_ED = np.random.default_rng(5).standard_normal((8, WIDTH)).astype(np.float32)
    rows_KD = vectors_KE @ map_ED
    table = table_of(new, old_VD=rows_KD[:OLD])
    found_ND, true_ND = auxiliary(table, (have, vectors_KE))[: NEW - 4], rows_KD[OLD:]
    cosine_N = (found_ND * true_ND).sum(1) / np.linalg.norm(found_ND, axis=1) / np.linalg.norm(true_ND, axis=1)
    assert cosine_N.min() > 0.999


def test_distilled_rows_bring_the_model_nearer_to_the_old_reading(new, tmp_path):
    """On snippets not trained on, the last hidden states are nearer to those of the old spelling than they are
    with the means that distillation starts from: by 2 % at least, for a random model on random text leaves most of it
    unexplained."""
    from sampan.vocab.init import distill

    base = save_small(tmp_path / "base", tied=False)
    train = replace(new, base=base, documents=new.documents[:70] * 3)
    means = distill.learn_rows(train, replace(SETTINGS, max_tokens=2))
    learnt = distill.learn_rows(train, replace(SETTINGS, max_tokens=10**6))
    model = load_model(base)
    pairs = list(distill._snippets(replace(train, documents=new.documents[70:]), 32, 10**6))

    def distance(rows_ND):
        input_VD = torch.cat([model.get_input_embeddings().weight, torch.from_numpy(rows_ND)])
        with torch.inference_mode():
            return sum(
                float(
                    (
                        model.base_model(inputs_embeds=input_VD[torch.tensor([pair.student])]).last_hidden_state[0]
                        - model.base_model(torch.tensor([pair.teacher])).last_hidden_state[0, pair.ends]
                    )
                    .square()
                    .mean()
                )
                for pair in pairs
            )

    assert distance(learnt["input"]) < 0.98 * distance(means["input"])


@pytest.mark.parametrize("name", ["focus", "distill", "auxiliary"])
def test_nothing_to_learn_from_is_said(new, tmp_path, name):
    base = save_small(tmp_path / "base", tied=True)
    bare = replace(new, base=base, documents=[], vectors=None)
    with pytest.raises(StageError, match="documents|vectors"):
        grow_checkpoint(base, tmp_path, bare, init=name, settings=SETTINGS)


def test_vectors_from_a_text_file_and_bad_ones(new, tmp_path):
    from sampan.vocab.given_vectors import read_vectors

    file = tmp_path / "words.vec"
    file.write_text("3 2\nword5 1 2\nword301 3 4\nelse 5 6\n", encoding="utf-8")
    ids, vectors_KE = read_vectors(file, [f" {text}" if text == "word5" else text for text in new.texts])
    assert ids.tolist() == [5, 301]
    np.testing.assert_array_equal(vectors_KE, [[1, 2], [3, 4]])
    for text, message in {"word5 1 x": "line 1", "word5 1 2\nword6 1 2 3": "unequal", "word5 1 nan": "finite"}.items():
        file.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            read_vectors(file, new.texts)
    (tmp_path / "words.bin").write_bytes(b"")
    for path in (tmp_path / "words.bin", tmp_path / "none"):
        with pytest.raises(InputError):
            read_vectors(path, new.texts)


def test_vectors_from_another_model(new, tmp_path):
    """Another model's own rows for the words that both know."""
    from sampan.vocab.given_vectors import read_vectors

    tiny = save_tiny(tmp_path / "tiny")
    texts = list(new.texts)
    texts[3], texts[301] = " the", "มา"
    ids, vectors_KE = read_vectors(tiny, texts)
    assert ids.tolist() == [3, 301]
    vocab = json.loads((tiny / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    rows = load_file(tiny / "model.safetensors")[EMBED]
    np.testing.assert_array_equal(vectors_KE, rows[[vocab["▁the"], vocab["มา"]]].numpy())


def test_bad_matrices_are_refused(new, tmp_path):
    base = save_small(tmp_path / "base", tied=True)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="no embedding of 299 rows"):
        grow_checkpoint(base, tmp_path / "out", replace(new, first=299), init="mean_all")
    model = load_model(base)
    with torch.no_grad():
        model.get_input_embeddings().weight[3, 3] = float("nan")
    save_model(model, base)
    with pytest.raises(InputError, match="not finite"):
        grow_checkpoint(base, tmp_path / "out", new, init="mean_all")


def test_one_matrix_is_held_at_a_time(new, tmp_path):
    """Two untied matrices of 100 000 rows: the peak is one of them, and a block of 4 MB in two forms."""
    rows, width = 100_000, 64
    base = save_small(tmp_path / "base", tied=False, rows=rows, width=width)
    (tmp_path / "out").mkdir()
    grown = replace(new, base=base, first=rows, texts=["a"] * (rows + NEW))
    grow_checkpoint(base, tmp_path / "out", grown, init="mean_all")  # imports and caches
    tracemalloc.start()
    grow_checkpoint(base, tmp_path / "out", grown, init="mean_subword")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.6 * rows * width * 4
