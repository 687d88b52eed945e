"""Models with different vocabularies: rows matched by token, stand-ins for missing tokens, united tokenizers."""

import functools
import json

import numpy as np
import pytest

from merge_models import CONFIG, EMBED, HEAD, SHAPES, contents, make, merge, tokenizer
from sampan.core.errors import InputError, RecipeError
from sampan.merge import stream
from sampan.merge.folders import open_folder
from sampan.merge.lanes import gather
from sampan.merge.unite import merges_of, tokens_of, unite
from sampan.model.tensors import TensorFolder

TIED = {**CONFIG, "tie_word_embeddings": True, "vocab_size": 12}


def sized(count, *, tied=False):
    return {n: (count, 6) if n in (EMBED, HEAD) else s for n, s in SHAPES.items() if not (tied and n == HEAD)}


@pytest.fixture
def trio(tmp_path):
    """A base with tokens a … j, a model with them in reverse and x, y, and one with f … p."""
    config = {**CONFIG, "vocab_size": 10}
    base = make(tmp_path / "base", seed=0, shapes=sized(10), words="abcdefghij", config=config)
    one = make(tmp_path / "one", seed=1, shapes=sized(12), words="xjihgfedcbay", config={**config, "vocab_size": 12})
    two = make(tmp_path / "two", seed=2, shapes=sized(11), words="fghijklmnop", config={**config, "vocab_size": 11})
    return [base, one, two], ["abcdefghij", "xjihgfedcbay", "fghijklmnop"]


def linear(tmp_path, made, **given):
    base, *models = (artifact for artifact, _ in made)
    given = {"method": "linear", "normalize": True, "dtype": "float32", "missing_tokens": "base_row"} | given
    return merge(tmp_path, base, [base, *models], **given)


def row(tensors, words, token, name=EMBED):
    return tensors[name][words.index(token)] if token in words else None


@pytest.mark.parametrize("missing", ["base_row", "mean", "zero"])
@pytest.mark.parametrize("whose", ["base", "union", "two"])
def test_every_row_is_the_mean_of_its_tokens_rows(tmp_path, trio, whose, missing):
    made, words = trio
    out, _ = linear(tmp_path, made, tokenizer=whose, missing_tokens=missing)
    spec = json.loads((out / "tokenizer.json").read_text())
    tokens = tokens_of(spec)
    expected = {"base": words[0], "two": words[2], "union": "abcdefghijxyklmnop"}[whose]
    assert "".join(sorted(tokens, key=tokens.get)) == expected
    with TensorFolder(out) as merged:
        for name in (EMBED, HEAD):
            got = merged.read(name)
            assert len(got) == len(expected) == json.loads((out / "config.json").read_text())["vocab_size"]
            for i, token in enumerate(expected):
                own = [row(tensors, text, token, name) for (_, tensors), text in zip(made, words, strict=True)]
                there = [r for r in own if r is not None]
                stand_in = {"mean": np.mean(there, axis=0), "zero": np.zeros(6)}.get(missing)
                if stand_in is None:
                    stand_in = own[0] if own[0] is not None else np.mean(there, axis=0)
                # means of three numbers below 4, in float32
                wanted = np.mean([stand_in if r is None else r for r in own], axis=0)
                np.testing.assert_allclose(got[i], wanted, rtol=0, atol=1e-6, err_msg=token)
        assert np.array_equal(merged["model.norm.weight"].shape, (6,))


def test_a_task_vector_of_a_missing_token_is_zero(tmp_path, trio):
    made, words = trio
    out, _ = merge(
        tmp_path, made[0][0], [made[2][0]], missing_tokens="base_row", dtype="float32", weights=[0.5], tokenizer="base"
    )
    with TensorFolder(out) as merged:
        got = merged.read(EMBED)
    assert np.array_equal(got[:5], made[0][1][EMBED][:5])  # a … e, which the model lacks
    for token in "fghij":
        a, b = (row(made[i][1], words[i], token) for i in (0, 2))
        np.testing.assert_allclose(got[words[0].index(token)], a + 0.5 * (b - a), rtol=0, atol=1e-6)


def test_rows_are_gathered_in_runs_and_absent_ones_are_zero(tmp_path, trio):
    folder = open_folder("one", trio[0][1][0].path)
    rows = gather(folder, EMBED, np.array([3, 4, 5, -1, 0, 1, -1, -1, 11]), 6)
    folder.tensors.close()
    wanted = trio[0][1][1][EMBED][[3, 4, 5, 0, 0, 1, 0, 0, 11]]
    wanted[[3, 6, 7]] = 0
    assert np.array_equal(rows, wanted)


def test_block_size_may_cut_rows(tmp_path, trio, monkeypatch):
    made, _ = trio
    given = {"tokenizer": "union", "method": "karcher", "normalize": None}
    first, _ = linear(tmp_path, made, **given)
    monkeypatch.setattr(stream, "merge_tensor", functools.partial(stream.merge_tensor, block_size=5))
    second, _ = linear(tmp_path, made, name="again", threads=3, **given)
    assert contents(first) == contents(second)


def test_other_ids_of_the_same_tokens_need_no_stand_ins(tmp_path):
    base, t0 = make(tmp_path / "base", words="abcdefghijkl")
    turned, t1 = make(tmp_path / "turned", seed=1, words="lkjihgfedcba")
    logs = []
    out, _ = merge(tmp_path, base, [turned], dtype="float32", logs=logs)
    assert "rows are matched by token" in logs[0]
    with TensorFolder(out) as merged:
        wanted = t0[HEAD] + (t1[HEAD][::-1] - t0[HEAD])
        assert np.array_equal(merged.read(HEAD), wanted)


def test_differing_tokens_are_refused_naming_the_tensor(tmp_path, trio):
    made, _ = trio
    with pytest.raises(InputError, match=f"'{EMBED}' do not stand for the same tokens.*missing_tokens"):
        linear(tmp_path, made, missing_tokens="error")


def test_sources_of_single_tokens(tmp_path, trio):
    made, words = trio
    tokens = {
        "k": {"source": {"model": "one", "token": "x"}},
        "a": {"source": "zero", "force": True},
        "b": {"source": "one", "force": True},
        "l": {"source": {"model": 0, "id": 2}},
    }
    out, _ = linear(tmp_path, made, tokenizer="union", tokens=tokens)
    spec = tokens_of(json.loads((out / "tokenizer.json").read_text()))
    with TensorFolder(out) as merged:
        got = merged.read(EMBED)
    k, x = row(made[2][1], words[2], "k"), row(made[1][1], words[1], "x")
    np.testing.assert_allclose(got[spec["k"]], (k + 2 * x) / 3, rtol=0, atol=1e-6)
    assert not got[spec["a"]].any()
    np.testing.assert_allclose(got[spec["b"]], row(made[1][1], words[1], "b"), rtol=0, atol=1e-6)
    l2 = row(made[2][1], words[2], "l")
    np.testing.assert_allclose(got[spec["l"]], (l2 + 2 * made[0][1][EMBED][2]) / 3, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        ({"Q": {"source": "zero"}}, "there is no token 'Q' in the result"),
        ({"a": {"source": "three"}}, "there is no model 'three'.*There are: base, one, two"),
        ({"a": {"source": {"model": "two", "token": "a"}}}, "two has no token 'a'"),
        ({"a": {"source": {"model": "two"}}}, "give either a token or an id"),
        ({"a": {"source": {"model": "two", "id": 11}}}, "two has no embedding row 11"),
    ],
)
def test_wrong_token_sources_are_refused(tmp_path, trio, tokens, says):
    with pytest.raises(RecipeError, match=says):
        linear(tmp_path, trio[0], tokenizer="union", tokens=tokens)


def test_tied_embeddings_are_gathered_too(tmp_path):
    base, _ = make(tmp_path / "base", shapes=sized(10, tied=True), words="abcdefghij", config=TIED)
    one, t1 = make(tmp_path / "one", seed=1, shapes=sized(12, tied=True), words="lkjihgfedcba", config=TIED)
    out, _ = merge(tmp_path, base, [one], tokenizer="union", missing_tokens="base_row", dtype="float32")
    with TensorFolder(out) as merged:
        assert HEAD not in merged
        assert merged[EMBED].shape == (12, 6)
        spec = tokens_of(json.loads((out / "tokenizer.json").read_text()))
        assert np.array_equal(merged.read(EMBED)[spec["l"]], t1[EMBED][0])
        assert np.allclose(merged.read(EMBED)[0], t1[EMBED][11], atol=1e-6)


def test_untied_base_takes_a_tied_models_rows_for_its_head(tmp_path):
    base, _ = make(tmp_path / "base", shapes=sized(10), words="abcdefghij")
    one, t1 = make(tmp_path / "one", seed=1, shapes=sized(12, tied=True), words="lkjihgfedcba", config=TIED)
    out, _ = merge(tmp_path, base, [one], tokenizer="base", missing_tokens="base_row", dtype="float32")
    with TensorFolder(out) as merged:
        np.testing.assert_allclose(merged.read(HEAD), t1[EMBED][:1:-1], rtol=0, atol=1e-6)


def test_padding_rows_stay_the_sources_and_unions_are_padded(tmp_path):
    base, t0 = make(tmp_path / "base", words="abcdefghij")  # twelve rows for ten tokens
    one, _ = make(tmp_path / "one", seed=1, words="abcdefghXY")
    given = {"missing_tokens": "base_row", "dtype": "float32"}
    out, _ = merge(tmp_path, base, [one], tokenizer="base", **given)
    with TensorFolder(out) as merged:
        assert np.array_equal(merged.read(EMBED)[8:], t0[EMBED][8:])
    out, _ = merge(tmp_path, base, [one], name="united", tokenizer="union", pad_to_multiple_of=8, **given)
    with TensorFolder(out) as merged:
        assert merged[EMBED].shape == (16, 6)
        assert not merged.read(EMBED)[12:].any()


def test_one_tokenizer_padded_in_two_ways(tmp_path):
    base, t0 = make(tmp_path / "base", words="abcdefghij")
    one, t1 = make(tmp_path / "one", seed=1, shapes=sized(10), words="abcdefghij")
    with pytest.raises(InputError, match=f"'{HEAD}' is 12×6 in base but 10×6 in one.*missing_tokens: base_row"):
        merge(tmp_path, base, [one], name="no")
    out, _ = merge(tmp_path, base, [one], missing_tokens="base_row", dtype="float32")
    with TensorFolder(out) as merged:
        assert np.array_equal(merged.read(EMBED)[10:], t0[EMBED][10:])
        np.testing.assert_allclose(merged.read(EMBED)[:10], t1[EMBED], rtol=0, atol=1e-6)


def test_union_needs_one_type_of_tokenizer(tmp_path, trio):
    made, _ = trio
    spec = tokenizer("abc")
    spec["model"]["type"] = "Unigram"
    spec["model"]["vocab"] = [[letter, -1.0] for letter in "fghijklmnop"]
    made[2][0].path.joinpath("tokenizer.json").write_text(json.dumps(spec))
    with pytest.raises(InputError, match="type BPE and that of two of type Unigram: they have no union"):
        linear(tmp_path, made, tokenizer="union")


def test_unite_appends_tokens_merges_and_added_tokens():
    base = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}, "normalizer": None}
    other = {"model": {"type": "BPE", "vocab": {"b": 0, "a": 1, "ba": 2, "ab": 3}, "merges": [["b", "a"], ["a", "b"]]}}
    other |= {"added_tokens": [{"id": 4, "content": "<x>", "special": True}], "normalizer": {"type": "NFC"}}
    logs = []
    united = unite(base, [("other", other)], logs.append)
    assert tokens_of(united) == {"a": 0, "b": 1, "ab": 2, "ba": 3, "<x>": 4}
    assert merges_of(united) == [("a", "b"), ("b", "a")]
    assert united["added_tokens"] == [{"id": 4, "content": "<x>", "special": True}]
    assert logs == ["note: the normalizer of other differs; the united tokenizer has the base's"]
    assert len(base["model"]["vocab"]) == 3


def test_united_tokenizers_load_and_reach_the_new_pieces(tmp_path):
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    for kind in ("bpe", "unigram"):
        specs = []
        for letters, piece in (("abc", "ab"), ("bcd", "cd")):
            tokens = ["<unk>", *letters, piece]
            if kind == "bpe":
                model = models.BPE({t: i for i, t in enumerate(tokens)}, [tuple(piece)], unk_token="<unk>")
            else:
                model = models.Unigram([(t, -1.0 - len(tokens) / 10) for t in tokens], 0)
            made = Tokenizer(model)
            made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
            made.add_special_tokens([f"<|{piece}|>"])
            specs.append(json.loads(made.to_str()))
        united = unite(specs[0], [("other", specs[1])], print)
        folder = tmp_path / kind
        folder.mkdir()
        (folder / "tokenizer.json").write_text(json.dumps(united))
        loaded = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
        assert loaded.tokenize("abcd <|cd|><|ab|>") == ["ab", "cd", "<|cd|>", "<|ab|>"], kind
        assert sorted(loaded.get_vocab().values()) == list(range(len(loaded)))
        before = Tokenizer.from_str(json.dumps(specs[0]))
        assert all(loaded.get_vocab()[token] == i for token, i in before.get_vocab().items())


def test_merged_union_runs_in_transformers(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    from sampan.core.stage import Artifact

    artifacts = []
    for seed, letters in enumerate(("abcdef", "efghij")):
        folder = tmp_path / letters
        torch.manual_seed(seed)
        config = transformers.LlamaConfig(
            vocab_size=7, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2
        )
        transformers.LlamaForCausalLM(config).save_pretrained(folder)
        model = models.WordLevel({"<unk>": 0} | {t: i for i, t in enumerate(letters, 1)}, unk_token="<unk>")
        made = Tokenizer(model)
        made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        transformers.PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>").save_pretrained(folder)
        artifacts.append(Artifact(path=folder, kind="checkpoint", digest=letters, name=letters))
    out, _ = merge(tmp_path, artifacts[0], artifacts[1:], tokenizer="union", missing_tokens="mean")
    loaded = transformers.AutoTokenizer.from_pretrained(out)
    assert len(loaded) == 11
    ids = loaded("a j e", return_tensors="pt")["input_ids"]
    merged = transformers.LlamaForCausalLM.from_pretrained(out)
    assert merged.config.vocab_size == 11
    assert torch.isfinite(merged(ids).logits).all()
