"""A wrong recipe is one paragraph that names file and line, says what is wrong and how to mend it."""

from __future__ import annotations

import pytest

from sampan.core.errors import SampanError
from sampan.recipe.load import bundled, load_recipe
from sampan.recipe.resolve import resolve
from sampan.recipe.yaml import parse_value

GOOD = """\
recipe: r
inputs: {rows: "file:rows.jsonl"}
stages:
  a: {stage: crawl.table, from: {files: rows}, with: {max_documents: 2}}
  b: {stage: corpus.split, from: {documents: a}}
"""

WRONG = {
    "section": ("inputs:", "input:", r":2: there is no section 'input'. Did you mean 'inputs'"),
    "stage key": ("from: {files", "form: {files", r":4, stage 'a': there is no key 'form'.*mean 'from'"),
    "stage kind": ("crawl.table", "crawl.tabel", r":4, stage 'a': there is no stage 'crawl.tabel'.*'crawl.table'"),
    "param": ("max_documents", "max_document", r"no parameter 'max_document'. Did you mean 'max_documents'"),
    "param type": ("max_documents: 2", "max_documents: many", r"'max_documents' = 'many'"),
    "source": ("documents: a}", "documents: c}", r":5, stage 'b': there is no stage or input 'c'"),
    "role": ("{documents: a}", "{document: a}", r"corpus.split has no input 'document'. Did you mean 'documents'"),
    "missing role": (", from: {documents: a}", "", r"needs the input 'documents'"),
    "cycle": ("files: rows}", "files: b}", r"go in a circle: a -> b -> a"),
    "duplicate": ("  b:", "  a:", r":5: 'a' is given twice, first on line 4"),
    "bad yaml": ("recipe: r", "recipe: [r", r":\d+: not valid YAML"),
    "unpinned hub": ('"file:rows.jsonl"', '"hf:org/name@main"', r":2, input 'rows'.*is not pinned"),
    "hub without commit": ('"file:rows.jsonl"', '"hf:org/name"', r"not pinned"),
    "no scheme": ('"file:rows.jsonl"', '"rows.jsonl"', r"'rows.jsonl' is not an input. Write file:PATH"),
    "no name": ("recipe: r\n", "", r"needs a name of"),
    "name": ("recipe: r\n", "recipe: ../r\n", r"needs a name of"),
    "extends": ("recipe: r\n", "recipe: r\nextends: vilage\n", r":2: there is no recipe 'vilage'.* mean 'village'\?$"),
    "languages": ("recipe: r\n", "recipe: r\nlanguages: [thx]\n", r":2, `languages`: there is no language 'thx'"),
    "a name of the parent's": ("  a:", "  bb: {with: {}}\n  a:", r"'bb': a stage is a mapping.* Did you mean 'b'\?"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_recipes(tmp_path, case):
    old, new, says = WRONG[case]
    assert old in GOOD
    path = tmp_path / "x.yaml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(SampanError, match=says) as caught:
        resolve(load_recipe(path))
    assert len(str(caught.value).splitlines()) == 1, "one paragraph"


def test_good_recipe_resolves_in_order(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(GOOD)
    assert list(resolve(load_recipe(path))) == ["a", "b"]


def test_not_utf8(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes("recipe: ä".encode("latin-1"))
    with pytest.raises(SampanError, match="not UTF-8"):
        load_recipe(path)


def test_missing_recipe_suggests_new(tmp_path):
    with pytest.raises(SampanError, match="no such recipe.*sampan new"):
        load_recipe(tmp_path / "none.yaml")


def test_set_changes_params_and_inputs(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(GOOD)
    (tmp_path / "folder").mkdir()
    recipe = load_recipe(path, ["a.max_documents=7", f"inputs.rows={tmp_path / 'folder'}"])
    assert recipe.stages["a"].params == {"max_documents": 7}
    assert recipe.inputs["rows"] == f"dir:{tmp_path / 'folder'}"
    for setting, says in [("c.x=1", "no stage 'c'"), ("inputs.row=1", "Did you mean 'rows'"), ("a", "not a setting")]:
        with pytest.raises(SampanError, match=says):
            load_recipe(path, [setting])


def test_extends_merges_and_null_removes(tmp_path):
    (tmp_path / "base.yaml").write_text(GOOD)
    child = tmp_path / "child.yaml"
    child.write_text("extends: base.yaml\nrecipe: child\nstages:\n  a: {with: {max_documents: 9}}\n  b: null\n")
    recipe = load_recipe(child)
    assert recipe.name == "child"
    assert recipe.stages.keys() == {"a"}
    assert recipe.stages["a"].params == {"max_documents": 9}
    assert recipe.stages["a"].kind == "crawl.table"
    child.write_text("extends: child.yaml\nrecipe: child\n")
    with pytest.raises(SampanError, match="extends itself"):
        load_recipe(child)


@pytest.mark.parametrize(
    ("text", "value"),
    [("200e9", 200e9), ("1e-5", 1e-5), ("no", "no"), ("true", True), ("[a, b]", ["a", "b"]), ("1_000", 1000)],
)
def test_numbers_and_words_mean_what_they_say(text, value):
    """YAML 1.1 would read 200e9 as a word and the language code `no` as false."""
    assert parse_value(text, where="x") == value


def test_extends_takes_several_and_a_stage_stands_in_for_an_input(tmp_path):
    (tmp_path / "full.yaml").write_text(GOOD)
    (tmp_path / "small.yaml").write_text(
        "stages:\n  rows: {stage: corpus.village, with: {num_documents: 3}}\n  a: {with: {max_documents: 1}}\n"
    )
    (tmp_path / "twin.yaml").write_text("extends: [full.yaml, small.yaml]\nrecipe: twin-0.1\n")
    twin = load_recipe(tmp_path / "twin.yaml")
    assert twin.name == "twin-0.1"
    assert twin.inputs == {}
    assert twin.stages["a"].sources == {"files": ["rows"]}
    assert twin.stages["a"].params == {"max_documents": 1}
    assert list(resolve(twin)) == ["rows", "a", "b"]
    (tmp_path / "both.yaml").write_text(GOOD + "  rows: {stage: corpus.village}\n")
    with pytest.raises(SampanError, match="both an input and a stage"):
        load_recipe(tmp_path / "both.yaml")


def test_a_stage_stands_where_its_kind_is_said(tmp_path):
    """A piece of params that recipes share does not change the order in which a recipe tells its steps."""
    (tmp_path / "piece.yaml").write_text("stages:\n  b: {with: {languages: [tha_Thai]}}\n")
    (tmp_path / "x.yaml").write_text(f"extends: piece.yaml\n{GOOD}")
    recipe = load_recipe(tmp_path / "x.yaml")
    assert list(recipe.stages) == ["a", "b"]
    assert recipe.stages["b"].params["languages"] == ["tha_Thai"]


def test_what_is_said_of_an_input(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(GOOD.replace('"file:rows.jsonl"', '{at: "file:rows.jsonl", about: Rows., facts: {tokens: 7}}'))
    recipe = load_recipe(path)
    assert recipe.inputs["rows"] == f"file:{tmp_path / 'rows.jsonl'}"
    assert recipe.given["rows"].facts == {"tokens": 7}
    assert recipe.given["rows"].forecast()["text_bytes"] == pytest.approx(24.5)
    again = load_recipe(path, ["inputs.rows=file:other.jsonl"])
    assert again.inputs["rows"].endswith("other.jsonl")
    assert again.given["rows"].about == "Rows."
    for wrong, says in [("{facts: {token: 1}}", "Did you mean 'tokens'"), ("{add: x}", "no parameter 'add'")]:
        path.write_text(GOOD.replace('"file:rows.jsonl"', wrong))
        with pytest.raises(SampanError, match=says):
            load_recipe(path)


@pytest.mark.parametrize("name", sorted(bundled()))
def test_bundled_recipes_resolve(name):
    assert resolve(load_recipe(bundled()[name]))


def test_paths_start_from_the_recipe_that_names_them(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "base.yaml").write_text(GOOD)
    (tmp_path / "child.yaml").write_text("extends: below/base.yaml\nrecipe: child\n")
    assert load_recipe(tmp_path / "child.yaml").inputs["rows"] == f"file:{tmp_path / 'below' / 'rows.jsonl'}"


@pytest.mark.parametrize("text", ["extends: [x]", "1: x", "inputs: [a]", "languages: tha_Thai"])
def test_wrong_shapes(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(GOOD.replace('inputs: {rows: "file:rows.jsonl"}\n', "") + text + "\n")
    with pytest.raises(SampanError):
        load_recipe(path)


def test_a_linked_folder_inside_an_input_is_refused(tmp_path):
    """What lies behind it would be read without being counted."""
    from sampan.core.identity import digest_tree

    (tmp_path / "input").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "input" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SampanError, match="is a link"):
        digest_tree(tmp_path / "input")


NEVER_TO_BE_BUILT = {
    "cpt: {with: {mixture: [{until: 0.5, weights: {'0/*': 1}}]}}": r"'cpt'.*mixture: the last phase ends at 0.5",
    "cpt: {with: {mixture: [{until: 1, weights: {'0/*': 0}}]}}": r"mixture, phase 1: every weight is 0",
    "cpt: {with: {mixture: [{until: 1, weights: {'5/*': 1}}]}}": r"weighs '5/\*', and there are 2 `tokens`",
    "cpt: {with: {context_len: -1}}": r"\(train.causal_lm\): context_len must be at least 1. See `sampan do",
    "clean: {with: {languages: [thai]}}": r"'clean' .*there is no language 'thai'. Did you mean 'tha_Thai'\?$",
    "clean: {with: {languages: [qqq]}}": r"Known: eng_Latn, ind_Latn, jav_Latn, .*, zho_Hans\.$",
    "clean: {with: {filters: [goper]}}": r"there is no filter 'goper'. Did you mean 'gopher'\?",
    "unique: {with: {threshold: 3}}": r"threshold is a similarity above 0 and at most 1",
    "region_tokens: {with: {bpe_dropout: 3}}": r"bpe_dropout is a probability below 1",
    "expanded: {with: {keep_languages: [enn]}}": r"keep_languages: there is no language 'enn'",
    "aligned: {with: {objective: simp}}": r"there is no objective 'simp'. Did you mean 'simpo'\?",
    "final: {with: {method: dare_tis}}": r"'final' \(merge.weights\): .*'dare_tis'. Did you mean 'dare_ties'\?",
    "final: {with: {weights: [1, 2, 3]}}": r"weights has 3 values for 2 models",
    "scores_base: {with: {tasks: [xcopaa]}}": r"there is no task 'xcopaa'. Did you mean 'xcopa'\?",
}  # fmt: skip


@pytest.mark.parametrize("stage", NEVER_TO_BE_BUILT)
def test_what_a_stage_would_refuse_is_said_before_anything_is_built(tmp_path, stage):
    """At its line, not after the hours that the stages before it take."""
    path = tmp_path / "x.yaml"
    path.write_text(f"recipe: x\nextends: village\nstages:\n  {stage}\n")
    with pytest.raises(SampanError, match=NEVER_TO_BE_BUILT[stage]) as caught:
        resolve(load_recipe(path))
    assert "x.yaml:4, stage" in str(caught.value)
    assert len(str(caught.value)) < 400, "not the whole of its parameters"


def test_languages_are_full_codes_however_they_are_written(tmp_path):
    """The report looks them up by code."""
    path = tmp_path / "x.yaml"
    path.write_text(GOOD + "languages: [th, ms-MY, eng_Latn]\n")
    assert load_recipe(path).languages == ["tha_Thai", "msa_Latn", "eng_Latn"]
