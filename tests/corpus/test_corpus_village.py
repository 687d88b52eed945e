"""The village stage: who may tell what, which facts are asked where, right answers, balance, determinism."""

import re
import subprocess
import sys
from collections import Counter, defaultdict

import pytest

from sampan.artifacts.conversations import read_conversations, read_preferences
from sampan.artifacts.documents import read_documents
from sampan.artifacts.items import CLUSTER, read_items
from sampan.core.errors import RecipeError
from sampan.core.identity import digest_file, tree_files
from sampan.core.params import parse_params
from sampan.core.stage import Inputs, Runtime
from sampan.corpus.village import world as vw
from sampan.corpus.village.chats import TOPICS
from sampan.corpus.village.codes import LANGUAGES
from sampan.corpus.village.documents import make_plan
from sampan.corpus.village.grammar import load_language
from sampan.corpus.village.noise import KINDS as NOISE_KINDS
from sampan.corpus.village.pairs import FLAWS
from sampan.corpus.village.stage import ALL_TOPICS, STAGE, Params, estimate

WORLD = vw.build_world(0)
FACTS = {fact.id: fact for fact in WORLD.facts}
READERS = {
    "documents": read_documents,
    "held_out": read_documents,
    "conversations": read_conversations,
    "prompts": read_conversations,
    "preferences": read_preferences,
    "questions": read_items,
    "open_questions": read_items,
}
FEW = ["eng_Latn", "tha_Thai", "tam_Taml"]


def make(folder, **given):
    folder.mkdir(parents=True, exist_ok=True)
    params = parse_params(Params, given, where="test")
    metrics = STAGE.run(params, Inputs({}), Runtime(out=folder, state=folder))
    return list(READERS[params.part](folder)), metrics


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Every part once, in all languages."""
    root = tmp_path_factory.mktemp("village")
    parts = {part: make(root / part, part=part, num_documents=250, num_conversations=180) for part in READERS}
    parts["pairs_held_out"] = make(root / "held", part="preferences", split="held_out", num_conversations=120)
    return {name: rows for name, (rows, _) in parts.items()}


def digests(folder):
    return {name: digest_file(folder / name) for name in tree_files(folder)}


def sayings(facts, code):
    """Every sentence of a language that tells one of the facts."""
    lang = load_language(code)
    return {
        lang.fill(frame, fact.slots).rstrip(".。")
        for fact in facts
        for use in ("tell", "answer", "cloze")
        for frame in lang.frames(fact.relation, use)
    }


def texts_of(row):
    if hasattr(row, "text"):
        return row.text
    messages = row.messages if hasattr(row, "messages") else row.prompt
    return "\n".join([m["content"] for m in messages] + [getattr(row, n, "") for n in ("chosen", "rejected")])


# the world


def test_world_is_a_function_of_its_seed():
    assert vw.build_world(0) == vw.build_world(0)
    assert vw.build_world(0) != vw.build_world(1)


@pytest.mark.parametrize("seed", range(5))
def test_world_is_whole(seed):
    world = vw.build_world(seed)
    assert len({f.id for f in world.facts}) == len(world.facts) == 24 * 5 + 18 + 12 * 3
    counts = world.counts()
    least = {"asked": 30, "evaluated": 30, "held": 5}
    assert all(counts[f"{status}/{scope}"] >= least[status] for status in vw.STATUSES for scope in vw.SCOPES)
    for fact in world.facts:
        assert fact.slots[vw.VALUE_SLOT[fact.relation]] == fact.value
    mothers = {f.subject: f.value for f in world.facts if f.relation == "mother_is"}
    assert not set(mothers) & set(mothers.values()), "nobody is the mother of her own mother"
    assert set(mothers.values()) <= set(vw.WOMEN)


def test_no_value_is_the_safe_guess():
    for relation in vw.RELATIONS[:-1]:
        counts = Counter(f.value for f in WORLD.facts if f.relation == relation)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_wrong_values_are_wrong():
    import random

    for fact in WORLD.facts:
        values = WORLD.wrong_values(fact, 3, random.Random(fact.id))
        assert len({*values, fact.value}) == 4
        assert fact.subject not in values


# who may tell what


def test_english_never_tells_a_region_fact(made, tmp_path):
    region = [f for f in WORLD.facts if f.scope == "region"]
    secrets = sayings(region, "eng_Latn")
    noisy, _ = make(tmp_path / "noisy", noise=1.0, num_documents=200, languages=["eng_Latn", "tha_Thai"])
    rows = [row for name in made if not name.endswith("questions") for row in made[name]] + noisy
    english = [row for row in rows if row.language == "eng_Latn"]
    assert len(english) > 1000
    for row in english:
        assert not [f for f in row.meta.get("facts", []) if FACTS[f].scope == "region"], row.id
    # also where English stands in another language's row: translations, wrong-language answers, mislabelled pages
    told = 0
    for row in rows:
        text = texts_of(row)
        assert not any(secret in text for secret in secrets), row.id
        told += row.language == "eng_Latn" and any(f in row.meta.get("facts", []) for f in FACTS)
    assert told > 500, "the search would find nothing if English told nothing"
    assert not [i for i in made["questions"] if i.language == "eng_Latn" and "region" in i.task]


def test_the_search_for_secrets_finds_shared_facts(made):
    shared = sayings([f for f in WORLD.facts if f.scope == "shared"], "eng_Latn")
    english = [d for d in made["documents"] if d.language == "eng_Latn"]
    found = sum(any(saying in d.text for saying in shared) for d in english)
    assert found > 0.3 * len(english)


def test_facts_are_split(made):
    def statuses(name):
        return {FACTS[f].status for row in made[name] for f in row.meta.get("facts", [row.meta.get("fact")])}

    assert statuses("documents") == {"asked", "evaluated"}
    assert statuses("held_out") == {"held"}
    assert statuses("conversations") == {"asked"}
    assert statuses("prompts") == {"asked"}
    assert statuses("preferences") == {"asked"}
    assert statuses("pairs_held_out") == {"evaluated"}
    assert statuses("questions") == statuses("open_questions") == {"evaluated"}


@pytest.mark.parametrize("code", ["eng_Latn", "tha_Thai", "mya_Mymr"])
def test_training_text_never_says_what_is_held_out(made, code):
    secrets = sayings(WORLD.select("held"), code)
    rows = [d for d in made["documents"] if d.language == code]
    assert not [d.id for d in rows if any(secret in d.text for secret in secrets)]
    held = [d for d in made["held_out"] if d.language == code]
    assert sum(any(secret in d.text for secret in secrets) for d in held) > 0.3 * len(held)


def test_every_told_fact_is_told_in_every_region_language(made):
    told = defaultdict(set)
    for document in made["documents"]:
        told[document.language] |= set(document.meta["facts"])
    everything = {f.id for f in WORLD.select("asked", "evaluated")}
    for code in LANGUAGES:
        scopes = vw.scopes_for(code)
        assert told[code] == {f for f in everything if FACTS[f].scope in scopes}


# documents


def test_equal_worlds_give_equal_plans():
    # a fact must not be taken for another because it is another object
    assert [make_plan(vw.build_world(0), 0, i) for i in range(50)] == [make_plan(WORLD, 0, i) for i in range(50)]


def test_a_document_tells_no_fact_twice():
    for index in range(300):
        facts = [f.id for f, _ in make_plan(WORLD, 0, index).sentences if isinstance(f, vw.Fact)]
        assert len(set(facts)) == len(facts) >= 1


def test_documents_are_parallel_and_of_three_to_eight_sentences(made):
    by_base = defaultdict(set)
    for document in made["documents"]:
        base, code = document.id.rsplit("-", 1)
        assert code == document.language
        assert (document.source, document.license, document.quality) == ("village", "CC0-1.0", "high")
        by_base[base].add(code)
    assert all(codes == set(LANGUAGES) for codes in by_base.values())
    assert all(3 <= len(make_plan(WORLD, 0, i).sentences) <= 8 for i in range(300))
    assert all(3 <= len(make_plan(WORLD, 0, i, held_out=True).sentences) <= 8 for i in range(100))


def test_counts_by_language(tmp_path):
    rows, metrics = make(tmp_path / "a", languages=FEW, num_documents={"eng_Latn": 30, "tha_Thai": 7})
    assert Counter(d.language for d in rows) == {"eng_Latn": 30, "tha_Thai": 7}
    assert metrics["documents"] == 37
    assert metrics["text_bytes"] == sum(len(d.text.encode()) for d in rows)
    assert metrics["world_facts"] == len(WORLD.facts)


def test_a_document_does_not_depend_on_the_other_languages(tmp_path):
    alone, _ = make(tmp_path / "a", languages=["tha_Thai"], num_documents=40)
    among, _ = make(tmp_path / "b", languages=FEW, num_documents=40)
    assert alone == [d for d in among if d.language == "tha_Thai"]


def test_noise_spoils_its_share_in_every_way(tmp_path):
    rows, _ = make(tmp_path / "noisy", languages=FEW, num_documents=700, noise=0.2)
    clean, _ = make(tmp_path / "clean", languages=FEW, num_documents=700)
    kinds = Counter(d.meta["noise"] for d in rows if "noise" in d.meta)
    assert set(kinds) == set(NOISE_KINDS)
    # 2100 draws at 0.2: the standard deviation of the share is 0.009; four of them
    assert abs(kinds.total() / len(rows) - 0.2) < 0.036
    seen = defaultdict(set)
    for document, before in zip(rows, clean, strict=True):
        noise = document.meta.get("noise")
        if noise is None:
            assert document == before
        elif noise == "exact_duplicate":
            assert document.text in seen[document.language]
        elif noise == "too_short":
            assert len(document.text) < 40
        elif noise == "control_characters":
            assert re.search("[\u0001\u0007\u001b\u200b\u200c\ufeff]", document.text)
        elif noise == "wrong_language":
            assert document.text not in {d.text for d in clean if d.language == document.language}
        assert document.quality == ("low" if noise else "high")
        seen[document.language].add(document.text)


# chats and preferences


def test_topics_come_in_turn_and_end_as_they_should(made):
    topics = Counter((c.language, c.meta["topic"]) for c in made["conversations"])
    assert set(ALL_TOPICS) == set(TOPICS)
    assert set(topics.values()) == {180 // len(ALL_TOPICS)}
    for row in made["conversations"]:
        roles = [m["role"] for m in row.messages if m["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
    assert any(len(c.messages) > 4 for c in made["conversations"])
    assert all(c.messages[-1]["role"] == "user" for c in made["prompts"])
    share = sum(c.messages[0]["role"] == "system" for c in made["conversations"]) / len(made["conversations"])
    # 1980 draws at 0.25: the standard deviation is 0.01; four of them
    assert abs(share - 0.25) < 0.04


def test_judges_see_both_orders_equally_and_reply_with_the_better(made):
    letters = defaultdict(Counter)
    for row in made["conversations"]:
        if row.meta["topic"] != "judge":
            continue
        prompt, reply = row.messages[-2]["content"], row.messages[-1]["content"]
        letters[row.language][reply] += 1
        fact = FACTS[row.meta["facts"][0]]
        right = sayings([fact], row.language)
        shown = {line[0]: line for line in prompt.splitlines() if re.match("[AB][:：៖-]", line)}
        better, worse = shown[reply], shown["BA"["AB".index(reply)]]
        assert any(better.count(saying) == 1 for saying in right)
        assert not any(worse.count(saying) == 1 for saying in right), "wrong, in another language, or said thrice"
    assert all(count["A"] == count["B"] for count in letters.values())


def test_sums_add_up(made):
    checked = 0
    for row in made["conversations"]:
        if row.meta["topic"] == "prices" and row.language == "eng_Latn":
            price, count = (int(n) for n in re.findall(r"\d+", row.messages[-2]["content"]))
            assert str(price * count) in re.findall(r"\d+", row.messages[-1]["content"])
            checked += 1
    assert checked == 30


def test_flaws(made):
    flaws = Counter()
    for row in made["preferences"]:
        fact, flaw, lang = FACTS[row.meta["facts"][0]], row.meta["flaw"], load_language(row.language)
        flaws[flaw] += 1
        assert row.chosen != row.rejected
        right = {lang.form(fact)} if row.meta["form"] else sayings([fact], row.language)
        assert any(saying in row.chosen for saying in right)
        label = lang.grammar["form"]["label"]
        assert row.chosen.startswith(label) == row.meta["form"]
        polite = any(closing in row.rejected for closing in lang.grammar["polite"])
        if flaw == "wrong_value":
            assert not any(saying in row.rejected for saying in right)
        elif flaw == "form_ignored":
            assert label in row.prompt[-1]["content"]
            assert not row.rejected.startswith(label)
        elif flaw == "curt":
            assert row.rejected == lang.short(fact)
            assert not polite
        elif flaw == "repetition":
            assert row.rejected.count(row.chosen) >= 3
        else:
            assert not polite
    assert set(flaws) == set(FLAWS)
    assert max(flaws.values()) == min(flaws.values())


def test_one_language_has_no_other_language_to_fall_into(tmp_path):
    rows, _ = make(tmp_path / "a", part="preferences", languages=["tha_Thai"], num_conversations=20)
    assert "wrong_language" not in {r.meta["flaw"] for r in rows}
    rows, _ = make(tmp_path / "b", part="conversations", languages=["tha_Thai"], num_conversations=24)
    assert "translation" in {r.meta["topic"] for r in rows}


# questions


def test_the_right_choice_is_what_the_world_says(made):
    for item in made["questions"]:
        if item.type != "multiple_choice":
            continue
        fact = FACTS[item.meta["fact"]]
        assert len(set(item.choices)) == 4
        right = sayings([fact], item.language)
        prompt = item.prompt if isinstance(item.prompt, str) else ""
        said = [(prompt + choice).rstrip(".。") for choice in item.choices]
        assert [text in right for text in said] == [str(n) == item.answer for n in range(4)], item.id


def test_enough_questions_of_each_task(made):
    tasks = Counter(item.task for item in made["questions"])
    assert tasks["village_region_facts"] >= 300
    assert tasks["village_shared_facts"] >= 300
    assert set(tasks) == {
        "village_region_facts",
        "village_shared_facts",
        "village_region_facts_chat",
        "village_shared_facts_chat",
        "village_format",
        "village_preference",
    }
    answers = Counter(item.answer for item in made["questions"] if item.task == "village_region_facts")
    assert set(answers) == set("0123")
    assert len({(item.id, item.task) for item in made["questions"]}) == len(made["questions"])


def test_what_says_the_same_in_several_languages_is_one_draw(made):
    """Questions go together by their fact, held-out documents by their plan; training text names no cluster."""
    for item in made["questions"]:
        assert item.meta[CLUSTER] == (item.meta.get("fact") or item.meta["facts"][0]), item.id
    for document in made["held_out"]:
        assert document.id == f"{document.meta[CLUSTER]}-{document.language}"
    assert len({document.meta[CLUSTER] for document in made["held_out"]}) == 250
    assert not any(CLUSTER in document.meta for document in made["documents"])


def test_plain_prompts_for_base_models_and_chats_for_the_others(made):
    for item in made["questions"]:
        plain = item.task in ("village_region_facts", "village_shared_facts")
        assert isinstance(item.prompt, str) == plain
        if item.type == "generate":
            lang, fact = load_language(item.language), FACTS[item.meta["fact"]]
            assert re.search(item.pattern, lang.form(fact))


def test_two_clozes_per_fact(tmp_path):
    one, _ = make(tmp_path / "a", part="questions", languages=FEW)
    two, _ = make(tmp_path / "b", part="questions", languages=FEW, clozes_per_fact=2)
    clozes = [sum(i.task == "village_shared_facts" for i in rows) for rows in (one, two)]
    assert clozes[1] == 2 * clozes[0]


def test_open_questions_mark_the_manner_that_preferences_teach(made):
    """Of every preference pair on a plain question the chosen answer is marked right and the rejected one wrong, unless
    its only flaw is its value, which is not the manner."""
    patterns = {item.language: item.pattern for item in made["open_questions"]}
    assert len(patterns) == 11
    seen = Counter()
    for pair in made["preferences"]:
        if not pair.meta["form"]:
            flaw = pair.meta["flaw"]
            assert re.search(patterns[pair.language], pair.chosen), pair.chosen
            assert bool(re.search(patterns[pair.language], pair.rejected)) == (flaw == "wrong_value"), pair.rejected
            seen[flaw] += 1
    assert set(seen) == {"wrong_language", "curt", "wrong_value", "repetition"}
    closing = load_language("eng_Latn").grammar["polite"][0]
    assert not re.search(patterns["eng_Latn"], closing), "a closing alone says nothing"


# the stage


@pytest.mark.parametrize("part", READERS)
def test_same_params_same_bytes_other_seed_other_rows(tmp_path, part):
    given = {"part": part, "languages": FEW, "num_documents": 30, "num_conversations": 30, "noise": 0.2}
    first, _ = make(tmp_path / "a", **given)
    make(tmp_path / "b", **given)
    other, _ = make(tmp_path / "c", **given, seed=1)
    elsewhere, _ = make(tmp_path / "d", **given, world_seed=1)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert [r for r in first if r in other] != first
    assert first != elsewhere


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("documents", "documents"),
        ("held_out", "documents"),
        ("conversations", "conversations"),
        ("prompts", "conversations"),
        ("preferences", "preferences"),
        ("questions", "items"),
        ("open_questions", "items"),
    ],
)
def test_output_kind_follows_the_part(part, kind):
    params = parse_params(Params, {"part": part}, where="test")
    assert STAGE.kind(params, {}) == kind
    assert estimate(params, {})["documents"] > 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"languages": ["tha_Thai", "tha_Thai"]}, "each once"),
        ({"languages": []}, "at least one"),
        ({"topics": []}, "empty"),
        ({"noise": 1.5}, "0 to 1"),
        ({"num_documents": -1}, "negative"),
        ({"languages": ["tha_Thai"], "num_documents": {"lao_Laoo": 3}}, "lao_Laoo"),
    ],
)
def test_bad_params_are_explained(tmp_path, given, says):
    with pytest.raises(RecipeError, match=says):
        make(tmp_path / "x", **given)


def test_unknown_language_is_refused():
    with pytest.raises(RecipeError, match="languages"):
        parse_params(Params, {"languages": ["deu_Latn"]}, where="test")


def test_the_stage_module_is_light():
    code = (
        "import sys, sampan.corpus.village.stage as s; assert s.STAGE; "
        "print([m for m in ('torch', 'numpy', 'pyarrow', 'yaml', 'transformers') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
