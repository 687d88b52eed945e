"""Packing by shards: any number of workers, killed or not, gives the same bytes; no engine changes an id."""

import gzip
import json
import os
import random
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from corpus_dedup_engine import four_workers
from hypothesis import given, settings
from hypothesis import strategies as st
from test_corpus_pack import SPECIALS, TOKENIZERS
from tokenizers import Tokenizer

from sampan.artifacts.documents import Document, write_documents
from sampan.artifacts.token_gather import gather_tokens
from sampan.artifacts.tokens import TokenWriter, read_tokens
from sampan.core.errors import InputError
from sampan.core.identity import digest_tree
from sampan.core.params import parse_params
from sampan.core.shards import one_by_one
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.corpus import encoder_choice, encoders, packing
from sampan.corpus.bpe_dropout import DropoutEncoder
from sampan.corpus.encoder_choice import sample_texts
from sampan.model.chat import write_template
from sampan.recipe.stages import STAGES
from sampan.vocab.adopt import adopt

WORDS = {
    "eng_Latn": ["the", "ferry", "leaves", "pier", "at", "six", "and", "dog", "waits", "for", "rain"],
    "tha_Thai": ["ฝน", "ตกหนัก", "ตั้งแต่เช้า", "ชาวบ้าน", "ย้ายตลาด", "เข้าไป", "ศาลาวัด"],
    "lao_Laoo": ["ເຮືອ", "ຂ້າມຟາກ", "ອອກຕອນ", "ຫົກໂມງ"],
    "khm_Khmr": ["កប៉ាល់", "ចេញ", "នៅម៉ោង", "ប្រាំមួយ"],
}


def corpus(count, seed=0):
    """Documents of random words, some empty, some with blanks at their ends or a special token inside."""
    chance = random.Random(seed)
    for number in range(count):
        language = chance.choice(sorted(WORDS))
        words = chance.choices(WORDS[language], k=chance.choice((0, 1, 5, 40)))
        if chance.random() < 0.05:
            words.insert(len(words) // 2, "<s>")
        text = ("" if language in ("tha_Thai", "lao_Laoo") else " ").join(words)
        text = chance.choice(("", " ", "\n")) + text + chance.choice(("", "  "))
        yield Document(str(number), text, language=language, quality=chance.choice(("", "high")), license="MIT")


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request, tmp_path):
    path = tmp_path / "tokenizer"
    path.mkdir()
    TOKENIZERS[request.param].save(str(path / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    write_template(path, "seallm-v2")
    return path


@pytest.fixture
def sources(tmp_path):
    """Parquet in two folders, and JSON lines without ids: rows that are read in different ways."""
    paths = []
    for number in range(2):
        paths.append(tmp_path / f"documents{number}")
        paths[-1].mkdir()
        write_documents(paths[-1], corpus(60, number))
    lines = [json.dumps({"text": d.text, "lang": d.language, "license": "CC0"}) for d in corpus(30, 2)]
    paths.append(tmp_path / "rows.jsonl")
    paths[-1].write_text("\n".join(lines))
    chats = tmp_path / "chats.jsonl"
    chats.write_text("\n".join(json.dumps({"prompt": "the dog", "response": f"waits {n}"}) for n in range(9)))
    return {"documents": paths, "conversations": [chats]}


@pytest.fixture
def pack(tmp_path, tokenizer, sources, monkeypatch):
    """`pack(params, state=…, engine=…)` gives (metrics, folder), with every file a job of its own."""
    cut = packing.document_jobs
    monkeypatch.setattr(packing, "document_jobs", lambda inputs, **_: cut(inputs, job_bytes=1))
    stage, made = STAGES.load("corpus.pack"), []

    def run(params=None, *, engine=one_by_one, state="", roles=("documents", "conversations")):
        out = tmp_path / f"packed{len(made)}"
        out.mkdir()
        made.append(out)
        given = {role: [_artifact(path) for path in sources[role]] for role in roles}
        given["tokenizer"] = [_artifact(tokenizer)]
        logs = []
        runtime = Runtime(
            out=out, state=tmp_path / (state or f"state{len(made)}"), run_shards=engine, on_log=logs.append
        )
        metrics = stage.run(parse_params(stage.params, params or {}, where="test"), Inputs(given), runtime)
        return {**metrics, "logs": logs}, out

    return run


def _artifact(path):
    return Artifact(path=Path(path), kind="external", digest="0" * 64, name=Path(path).name)


@pytest.mark.parametrize(
    "params", [{}, {"stream_by": "language_and_quality", "repeat": 2}, {"bpe_dropout": 0.2, "repeat": 2, "seed": 3}]
)
def test_four_workers_pack_the_bytes_of_one(pack, params):
    metrics, out = pack(params)
    again, other = pack(params, engine=four_workers)
    assert digest_tree(out) == digest_tree(other)
    assert metrics == again
    assert metrics["documents"] == 150 * params.get("repeat", 1) + 9


def test_a_killed_run_goes_on_where_it_was(pack):
    class Killed(Exception):
        pass

    done = []

    def dies(jobs, on_done):
        one_by_one(jobs[:2], on_done)
        raise Killed

    def counts(jobs, on_done):
        done.extend(jobs)
        one_by_one(jobs, on_done)

    _, whole = pack()
    with pytest.raises(Killed):
        pack(state="killed", engine=dies)
    _, resumed = pack(state="killed", engine=counts)
    assert len(done) == 2  # of three jobs of documents one is left, and the one of conversations
    assert digest_tree(whole) == digest_tree(resumed)


@pytest.mark.parametrize("ends", [(True, True), (False, True), (False, False)])
def test_every_token_of_every_document_is_there_once(pack, tokenizer, ends):
    """What lies in the shards is what each document alone encodes to, in order, between BOS and EOS."""
    reference = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    bos, eos = reference.token_to_id("<s>"), reference.token_to_id("</s>")
    metrics, out = pack({"add_bos": ends[0], "add_eos": ends[1]}, roles=("documents",))
    shards = read_tokens(out)
    documents = [*corpus(60, 0), *corpus(60, 1), *corpus(30, 2)]
    assert len(shards) == len(documents)
    for number, document in enumerate(documents):
        alone = reference.encode(document.text, add_special_tokens=False).ids
        assert shards.document(number)[0].tolist() == [bos] * ends[0] + alone + [eos] * ends[1]
        assert shards.stream_names[shards.streams[number]] == document.language
    assert metrics["tokens"] == len(shards.ids) == shards.offsets[-1]
    assert metrics["text_bytes"] == sum(len(d.text.encode()) for d in documents)
    assert metrics["licenses"] == ["CC0", "MIT"]


@pytest.mark.parametrize("bad", [{"language": "tha_Thai"}, {"text": None}, {"text": 5}])
def test_a_row_without_text_is_named_by_a_worker(pack, sources, bad):
    sources["documents"][-1].write_text('{"text": "the"}\n' + json.dumps(bad))
    with pytest.raises(InputError, match="needs a string column 'text'") as error:
        pack()
    assert error.value.where.endswith("rows.jsonl:2")


def test_null_text_in_parquet_is_named(pack, sources, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    sources["documents"] = [tmp_path / "null.parquet"]
    pq.write_table(pa.table({"text": ["the", None], "language": ["eng_Latn"] * 2}), tmp_path / "null.parquet")
    with pytest.raises(InputError, match="string column 'text'") as error:
        pack()
    assert error.value.where.endswith("null.parquet, row 2")


def test_parquet_of_other_shapes_packs_the_same(pack, sources, tmp_path):
    """Large strings, nested columns before the text, a null language: read row by row, to the same ids."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts, codes = [d.text for d in corpus(40)], [d.language or None for d in corpus(40)]
    plain, nested = tmp_path / "plain.parquet", tmp_path / "nested.parquet"
    pq.write_table(pa.table({"text": texts, "language": codes}), plain)
    extra = pa.array([{"a": 1, "b": "x"}] * 40)
    pq.write_table(pa.table({"extra": extra, "text": pa.array(texts, pa.large_string()), "language": codes}), nested)
    sources["documents"] = [plain]
    _, first = pack(roles=("documents",))
    sources["documents"] = [nested]
    _, second = pack(roles=("documents",))
    assert digest_tree(first) == digest_tree(second)


# ---------------------------------------------------------------- engines


@pytest.fixture
def choosing(monkeypatch):
    monkeypatch.setattr(encoder_choice, "WORTH_CHOOSING", 0)
    encoders.open_encoder.cache_clear()
    encoders.open_reference.cache_clear()
    yield
    encoders.open_encoder.cache_clear()
    encoders.open_reference.cache_clear()


def test_an_engine_with_other_ids_is_refused_with_a_note(pack, choosing, monkeypatch):
    """One id changed in one text is enough."""
    _, wanted = pack()

    def wrong(spec, folder):
        reference = encoders.Reference(spec)

        def encode(texts):
            ids_N, lengths_D = reference(texts)
            ids_N[-1] += 1
            return ids_N, lengths_D

        return encode, True

    monkeypatch.setattr(encoders, "installed", lambda name: True)
    monkeypatch.setattr(encoder_choice, "installed", lambda name: True)
    monkeypatch.setattr(encoders, "ENGINES", {"wrong": wrong})
    monkeypatch.setattr(encoder_choice, "ENGINES", {"wrong": wrong})
    metrics, out = pack()
    assert metrics["engine"] == "tokenizers"
    assert "differ" in metrics["engines_refused"]["wrong"]
    assert any("wrong" in line and "differ" in line for line in metrics["logs"])
    assert digest_tree(out) == digest_tree(wanted)


@pytest.mark.parametrize("engine", encoders.ENGINES)
def test_every_engine_packs_the_bytes_of_the_reference(pack, choosing, monkeypatch, engine):
    if not encoders.installed(engine):
        pytest.skip(f"{engine} is not installed")
    monkeypatch.setattr(encoder_choice, "ENGINES", {})
    _, wanted = pack()
    monkeypatch.setattr(encoder_choice, "ENGINES", {engine: encoders.ENGINES[engine]})
    metrics, out = pack()
    assert digest_tree(out) == digest_tree(wanted)
    if engine == "fastokens":
        assert metrics["engine"] == engine
        assert metrics["engine_checked_on"] > 100
    else:
        assert metrics["engine"] in (engine, "tokenizers")
        assert (metrics["engine"] == engine) != (engine in metrics.get("engines_refused", {}))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are listed by Linux alone")
def test_fastokens_encodes_in_one_thread(tmp_path):
    """Cores are used by several jobs; its own threads would each fill a cache and wait for one another."""
    if not encoders.installed("fastokens"):
        pytest.skip("fastokens is not installed")
    (tmp_path / "tokenizer.json").write_text(next(iter(SPECS.values())))
    code = (
        "import pathlib, sys; from sampan.corpus.encoders import open_encoder; folder = pathlib.Path(sys.argv[1])\n"
        "open_encoder('fastokens', folder / 'tokenizer.json', folder)(['the ferry leaves ' * 50] * 200)\n"
        "print([task.read_text() for task in pathlib.Path('/proc/self/task').glob('*/comm')])"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("FASTOKENS_BPE_THREADS", "RAYON_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, env=environment
    )
    assert "fastokens" not in done.stdout


def metaspace():
    """The SentencePiece tokenizer as `vocab.import` writes it: the blank before the text by a Metaspace step."""
    spec = json.loads(TOKENIZERS["sentencepiece"].to_str())
    doubled = {"type": "Replace", "pattern": {"Regex": r"\A[ ▁]"}, "content": "▁▁"}
    blanks = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    spec["normalizer"] = {"type": "Sequence", "normalizers": [doubled, blanks]}
    spec["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    return json.dumps(spec)


SPECS = {**{name: tokenizer.to_str() for name, tokenizer in TOKENIZERS.items()}, "metaspace": metaspace()}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text("the ferry<s>/ กา\nx😀▁\u00a0", max_size=30), min_size=1, max_size=5),
    st.lists(st.booleans(), min_size=5, max_size=5),
    st.sampled_from(sorted(SPECS)),
)
def test_special_tokens_survive_in_every_engine(texts, marked, name):
    """An engine that cannot read them hands such texts to the reference."""
    texts = [text + "<s>er" * mark for text, mark in zip(texts, marked, strict=False)]
    reference = encoders.Reference(SPECS[name])
    wanted = [part.tolist() for part in reference(texts)]
    if encoders.installed("fastokens"):
        engine, reads_added = encoders.ENGINES["fastokens"](SPECS[name], Path())
        assert reads_added == (name != "metaspace")
        encode = encoders.WithReference(engine, lambda: reference, [] if reads_added else SPECIALS)
        assert [part.tolist() for part in encode(texts)] == wanted

    def blind(given):
        assert not any(token in text for text in given for token in SPECIALS)
        return reference(given)

    encode = encoders.WithReference(blind, lambda: reference, SPECIALS)
    assert [part.tolist() for part in encode(texts)] == wanted


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["the", " ", "  ferry", "<s>", "</s>", "กา", "x", "▁", "\n", "😀"]), max_size=9))
def test_a_dropout_of_nothing_gives_the_librarys_ids(parts):
    """Also after special tokens, where SentencePiece's blank is not put again."""
    text = "".join(parts)
    for spec in SPECS.values():
        tokenizer = Tokenizer.from_str(spec)
        wanted = tokenizer.encode(text, add_special_tokens=False).ids
        assert DropoutEncoder(tokenizer, 0.0).encode(text, "seed") == wanted


def test_a_known_word_that_no_merges_lead_to_is_whole_unless_something_is_left_out():
    """As in Llama 3's vocabulary, whose tokenizer takes known words as they are."""
    spec = json.loads(TOKENIZERS["byte_level"].to_str())
    spec["model"]["ignore_merges"] = True
    spec["model"]["vocab"]["qqzz"] = 5000
    tokenizer = Tokenizer.from_str(json.dumps(spec))
    assert tokenizer.encode("qqzz", add_special_tokens=False).ids == [5000]
    assert DropoutEncoder(tokenizer, 0.0).encode("qqzz", "seed") == [5000]
    spec["model"]["merges"].append(["q", "q"])
    spec["model"]["vocab"]["qq"] = 5001
    encoder = DropoutEncoder(Tokenizer.from_str(json.dumps(spec)), 0.5)
    found = {tuple(encoder.encode("qqzz", str(seed))) for seed in range(20)}
    letters = tuple(spec["model"]["vocab"][letter] for letter in "qqzz")
    assert found == {(5000,), letters}


def test_an_engine_that_gives_up_on_a_text_is_replaced_for_it():
    reference = encoders.Reference(TOKENIZERS["byte_level"].to_str())

    def tired(texts):
        raise ValueError("match limit exceeded")

    encode = encoders.WithReference(tired, lambda: reference, [])
    assert encode(["the ferry"])[0].tolist() == reference(["the ferry"])[0].tolist()


def test_the_sample_has_every_language_and_is_the_same_again(tmp_path):
    """10,000 English rows and three Lao ones near the end of the second row group."""
    (tmp_path / "documents").mkdir()
    rows = [Document(str(n), f"ferry {n}", language="eng_Latn") for n in range(9_000)]
    rows[8_500:8_503] = [Document(f"l{n}", f"ເຮືອ {n}", language="lao_Laoo") for n in range(3)]
    write_documents(tmp_path / "documents", rows)
    jobs = packing.document_jobs([_artifact(tmp_path / "documents")])
    texts = sample_texts(jobs)
    assert 200 <= len(texts) <= 300
    assert [t for t in texts if "ເຮືອ" in t] == [f"ເຮືອ {n}" for n in range(3)]
    numbers = [int(t.split()[1]) for t in texts if "ferry" in t]
    assert max(numbers) > 8_000
    assert numbers == sorted(numbers)
    assert sample_texts(jobs) == texts


# ---------------------------------------------------------------- putting together


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 70_000), max_size=4), st.sampled_from("abc"), st.booleans()), max_size=12
    ),
    st.lists(st.integers(0, 12), max_size=3),
    st.sampled_from([65_536, 70_001]),
)
def test_parts_put_together_are_what_one_writer_writes(tmp_path_factory, documents, cuts, vocab_size):
    folder = tmp_path_factory.mktemp("parts")
    edges = [0, *sorted(min(cut, len(documents)) for cut in cuts), len(documents)]

    def write(path, rows):
        path.mkdir()
        writer = TokenWriter(path, vocab_size=vocab_size, tokenizer_digest="t")
        for ids, stream, trained in rows:
            ids = [i % vocab_size for i in ids]
            writer.write(
                ids, stream=stream, text_bytes=len(ids), mask=None if trained else [n % 2 for n in range(len(ids))]
            )
        return writer.close()

    index = write(folder / "whole", documents)
    parts = [folder / str(n) for n in range(len(edges) - 1)]
    for part, low, high in zip(parts, edges, edges[1:], strict=False):
        write(part, documents[low:high])
    (folder / "out").mkdir()
    assert gather_tokens(parts, folder / "out") == index
    assert digest_tree(folder / "out") == digest_tree(folder / "whole")
    assert len(read_tokens(folder / "out")) == len(documents)


@pytest.mark.parametrize("more", [[], [0] * 1500, [2, 0, 1] * 700])  # 1024 pieces are written in one call
@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=6), st.integers(0, 2), st.integers(0, 2), st.sampled_from([300, 70_000]))
def test_a_batch_is_written_as_its_documents_one_by_one(tmp_path_factory, more, lengths, heads, tails, vocab_size):
    lengths_D = np.asarray([*lengths, *more], np.int64)
    ids = np.arange(lengths_D.sum(), dtype=np.uint32) % 256
    head, tail = [256] * heads, [257] * tails
    stream_D = np.arange(len(lengths_D)) % 2
    one, all_ = (tmp_path_factory.mktemp(name) for name in ("one", "all"))
    writer = TokenWriter(all_, vocab_size=vocab_size, tokenizer_digest="t")
    given = {"streams": ["a", "b"], "stream_D": stream_D, "bytes_D": 3 * lengths_D}
    writer.write([7], stream="c")
    writer.write_batch(ids, lengths_D, **given, head=head, tail=tail)
    writer.write([8], stream="c")
    index = writer.close()
    writer = TokenWriter(one, vocab_size=vocab_size, tokenizer_digest="t")
    writer.write([7], stream="c")
    for part, stream in zip(np.split(ids, np.cumsum(lengths_D))[:-1], stream_D, strict=True):
        writer.write([*head, *part, *tail], stream="ab"[stream], text_bytes=3 * len(part))
    writer.write([8], stream="c")
    assert writer.close() == index
    assert digest_tree(all_) == digest_tree(one)


# ---------------------------------------------------------------- real text


@pytest.fixture(scope="module")
def real_texts(shared):
    """The first documents of every file of all languages, cut; and one with special tokens between words."""
    texts = []
    for file in sorted((shared / "data" / "text").glob("*/*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            texts += [json.loads(line)["text"][:1000] for line in islice(lines, 2)]
    return [*texts, " a</s> b<s>c <|begin_of_text|>d<|endoftext|> e", "", " ", "\n\n", "▁", "a\u0000b"]


@pytest.mark.shared
@pytest.mark.parametrize("file", ["llama2/tokenizer.model", "llama3/tokenizer.model", "qwen/qwen.tiktoken"])
def test_real_tokenizers_give_the_same_ids_by_every_engine_and_without_dropout(shared, real_texts, tmp_path, file):
    adopt(shared / "data" / "tokenizers" / file, tmp_path)
    spec = (tmp_path / "tokenizer.json").read_text()
    wanted, lengths = encoders.Reference(spec)(real_texts)
    read = []
    for engine in filter(encoders.installed, encoders.ENGINES):
        try:
            encode = encoders.open_encoder(engine, tmp_path / "tokenizer.json", tmp_path)
        except InputError:
            continue
        read.append(engine)
        ids, sizes = encode(real_texts)
        assert np.array_equal(ids, wanted), engine
        assert np.array_equal(sizes, lengths), engine
    if encoders.installed("fastokens"):
        assert "fastokens" in read
    assert ("sentencepiece" if "llama2" in file else "tiktoken") in read
    plain = DropoutEncoder(Tokenizer.from_str(spec), 0.0)
    some = real_texts[::12] + real_texts[-6:]
    assert [plain.encode(text, "seed") for text in some] == [
        ids.ids for ids in Tokenizer.from_str(spec).encode_batch_fast(some, add_special_tokens=False)
    ]
