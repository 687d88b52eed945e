"""corpus.village: a small invented world as documents, chats, preferences and questions in eleven languages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from ...core.errors import RecipeError
from ...core.identity import digest_resources
from ...core.params import params
from ...core.stage import Inputs, Runtime, Stage
from .codes import LANGUAGES, Code

Part = Literal[
    "documents", "pages", "held_out", "conversations", "prompts", "preferences", "questions", "open_questions",
    "task_files", "sea_helm", "harness_tasks", "judge_prompts",
]  # fmt: skip
Topic = Literal["facts", "prices", "translation", "chat", "format", "judge"]
ALL_TOPICS: tuple[Topic, ...] = Topic.__args__
_KINDS = {
    "documents": "documents",
    "pages": "pages",
    "held_out": "documents",
    "conversations": "conversations",
    "prompts": "conversations",
    "preferences": "preferences",
    "questions": "items",
    "open_questions": "items",
    "task_files": "files",
    "sea_helm": "files",
    "harness_tasks": "files",
    "judge_prompts": "files",
}
# measured over all languages, for forecasts only
_BYTES_PER_DOCUMENT, _BYTES_PER_CHAT, _DOCUMENTS_PER_SECOND = 430, 250, 10000
_EVERY = 500


@params
class Params:
    """What to make of the village. The whole generator is ours, not a paper's."""

    part: Part = "documents"
    """documents: training text. pages: such documents as web pages in a WARC. held_out: text of facts never told
    elsewhere. conversations: chats on asked facts. prompts: their questions alone. preferences: answer pairs with one
    flaw. questions: evaluation items. open_questions: items that mark the manner of a free answer, not what it says.
    task_files, sea_helm, harness_tasks, judge_prompts: such questions in the layouts of published tests, for `data` of
    evals.run, `sea_helm` of evals.sea_helm, `task_files` and `data` of evals.lm_eval, and `prompts` of evals.judge."""
    languages: tuple[Code, ...] = LANGUAGES
    """Languages to write in; English never tells what belongs to the region alone."""
    num_documents: int | dict[Code, int] = 1000
    """Documents per language, or a number for each: low-resource languages may have fewer."""
    num_conversations: int | dict[Code, int] = 500
    """Conversations, prompts or preferences per language, or a number for each."""
    topics: tuple[Topic, ...] = ALL_TOPICS
    """What conversations are about, in turn."""
    system_share: float = 0.25
    """Share of conversations and prompts that begin with a system message."""
    split: Literal["train", "held_out"] = "train"
    """preferences: on asked facts (train) or on facts never asked (held_out)."""
    num_rows: int = 8
    """task_files, sea_helm, harness_tasks: rows of each file."""
    clozes_per_fact: Literal[1, 2] = 1
    """questions: plain-text clozes for every fact and language."""
    noise: float = 0.0
    """documents: share that is spoiled (duplicates, menus, gibberish, wrong language …) for cleaning to find."""
    seed: int = 0
    """Chooses sentences and themes; the facts stay the same."""
    world_seed: int = 0
    """Chooses the facts and which of them are told, asked and evaluated: equal in every stage of a recipe."""


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Write the part; returns its counts and the world's."""
    from .world import build_world

    _check(params)
    world = build_world(params.world_seed)
    if params.part == "pages":
        metrics = _write_web(params, world, runtime)
    elif _KINDS[params.part] == "documents":
        metrics = _write_documents(params, world, runtime)
    elif _KINDS[params.part] == "files":
        from .layouts import write_layout

        rows = write_layout(params.part, world, params.num_rows, params.seed, runtime.out)
        metrics = {"documents": rows, "licenses": ["CC0-1.0"]}
    else:
        metrics = _write_rows(params, world, runtime)
    return {**metrics, **{f"world_{name}": count for name, count in world.counts().items()}}


def _check(params: Params) -> None:
    if not params.languages or len(set(params.languages)) < len(params.languages):
        raise RecipeError("`languages` must name at least one language, each once", where="corpus.village")
    if not params.topics:
        raise RecipeError("`topics` is empty", where="corpus.village", how=f"Give some of {', '.join(ALL_TOPICS)}.")
    for name in ("noise", "system_share"):
        if not 0 <= getattr(params, name) <= 1:
            raise RecipeError(f"`{name}` is a share, from 0 to 1", where="corpus.village")
    if params.num_rows < 1:
        raise RecipeError("`num_rows` must be 1 or more", where="corpus.village")
    for name in ("num_documents", "num_conversations"):
        given = getattr(params, name)
        numbers = given.values() if isinstance(given, Mapping) else [given]
        if min(numbers, default=0) < 0:
            raise RecipeError(f"`{name}` cannot be negative", where="corpus.village")
        extra = sorted(set(given) - set(params.languages)) if isinstance(given, Mapping) else []
        if extra:
            raise RecipeError(
                f"`{name}` counts {', '.join(extra)}, which `languages` does not name", where="corpus.village"
            )


def counts_of(given: int | Mapping[str, int], languages: Sequence[str]) -> dict[str, int]:
    """Rows per language, in the order of `languages`; a language that a mapping leaves out has none."""
    return {c: given.get(c, 0) if isinstance(given, Mapping) else given for c in languages}


def documents_of(params: Params, world: Any) -> Iterator[Any]:
    """Documents in order of number, then language: equal numbers are the same document in another language."""
    from ...artifacts.documents import Document
    from ...artifacts.items import CLUSTER
    from .documents import make_plan, tell_plan
    from .grammar import load_language
    from .noise import is_spoiled, spoil

    counts = counts_of(params.num_documents, params.languages)
    held_out, seed = params.part == "held_out", params.seed
    # the number of a seed is part of the id, so that two stages of one recipe never share ids
    name = "village" + ("-held" if held_out else "") + (f"-s{seed}" if seed else "")
    for index in range(max(counts.values(), default=0)):
        plan = make_plan(world, seed, index, held_out=held_out)
        for code in (c for c in params.languages if index < counts[c]):
            told = tell_plan(plan, code, seed, index)
            base = f"{name}-{index:05d}"
            shared = {CLUSTER: base} if held_out else {}  # translations of each other are one draw
            document = Document(
                id=f"{base}-{code}",
                text=told.text,
                language=code,
                script=load_language(code).script,
                source="village",
                url=f"https://village.example/{code}/{base}",
                license="CC0-1.0",
                quality="high",
                meta={"theme": plan.theme, "facts": [f.id for f in told.facts], **shared},
            )
            if not held_out and is_spoiled(params.noise, seed, code, index):
                document = spoil(document, world, seed, index, params.noise, params.languages)
            yield document


def _write_documents(params: Params, world: Any, runtime: Runtime) -> dict[str, Any]:
    from ...artifacts.documents import write_documents

    total = sum(counts_of(params.num_documents, params.languages).values())
    summary = write_documents(runtime.out, _counted(documents_of(params, world), total, runtime))
    return {name: summary[name] for name in ("documents", "characters", "text_bytes", "by_language")}


def _write_web(params: Params, world: Any, runtime: Runtime) -> dict[str, Any]:
    from .pages import write_pages

    documents = list(documents_of(params, world))
    counts = write_pages(runtime.out / "village.warc.gz", documents, seed=params.seed)
    return {"documents": len(documents), **counts, "licenses": ["CC0-1.0"]}


def _write_rows(params: Params, world: Any, runtime: Runtime) -> dict[str, Any]:
    from ...artifacts.conversations import write_conversations, write_preferences
    from ...artifacts.items import write_items
    from .chats import conversations, prompts
    from .pairs import preferences
    from .questions import open_questions, questions

    counts = counts_of(params.num_conversations, params.languages)
    languages, seed, share = params.languages, params.seed, params.system_share
    if _KINDS[params.part] == "items":
        rows = open_questions(world, languages, seed=seed)
        if params.part == "questions":
            rows = questions(world, languages, seed=seed, clozes_per_fact=params.clozes_per_fact)
        summary = write_items(runtime.out, _counted(rows, None, runtime))
        return {"documents": summary["rows"], "by_task": summary["by_task"]}
    if params.part == "preferences":
        rows, write = preferences(world, counts, params.split, languages=languages, seed=seed), write_preferences
    elif params.part == "prompts":
        rows, write = prompts(world, counts, seed=seed, system_share=share), write_conversations
    else:
        write = write_conversations
        rows = conversations(world, counts, params.topics, languages=languages, seed=seed, system_share=share)
    size = _Size()
    summary = write(runtime.out, size.of(_counted(rows, sum(counts.values()), runtime)))
    return {"documents": summary["rows"], "text_bytes": size.text_bytes, "by_language": summary["by_language"]}


class _Size:
    """Adds up the bytes of the texts that pass."""

    def __init__(self) -> None:
        self.text_bytes = 0

    def of(self, rows: Iterable[Any]) -> Iterator[Any]:
        for row in rows:
            messages = row.messages if hasattr(row, "messages") else row.prompt
            texts = [m["content"] for m in messages] + [getattr(row, n, "") for n in ("chosen", "rejected")]
            self.text_bytes += sum(len(text.encode("utf-8")) for text in texts)
            yield row


def _counted(rows: Iterable[Any], total: int | None, runtime: Runtime) -> Iterator[Any]:
    done = 0
    for done, row in enumerate(rows, 1):
        yield row
        if done % _EVERY == 0:
            runtime.progress(done, total, "rows")
    runtime.progress(done, total, "rows")


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, float]:
    """Rows, bytes and seconds from the counts asked for."""
    if _KINDS[params.part] == "files":
        rows, size = 30 * params.num_rows, _BYTES_PER_CHAT
    elif _KINDS[params.part] == "items":
        rows, size = 300 * len(params.languages), _BYTES_PER_CHAT
    elif _KINDS[params.part] in ("documents", "pages"):
        rows, size = sum(counts_of(params.num_documents, params.languages).values()), _BYTES_PER_DOCUMENT
    else:
        rows, size = sum(counts_of(params.num_conversations, params.languages).values()), _BYTES_PER_CHAT
    text = rows * size
    return {"documents": rows, "text_bytes": text, "disk_bytes": text, "seconds": rows / _DOCUMENTS_PER_SECOND}


def _kind(params: Params, given: Mapping[str, Sequence[str]]) -> str:
    return _KINDS[params.part]


def reads(params: Params) -> dict[str, str]:
    """The lexicons and frames of all languages: a translation may use any of them."""
    return {"village languages": digest_resources("sampan.corpus.village", "languages")}


STAGE = Stage(
    name="corpus.village",
    revision=2,
    summary="The village: a seeded invented world as documents, chats, preferences and questions in eleven languages.",
    params=Params,
    inputs={},
    output=_kind,
    run=run,
    estimate=estimate,
    reads=reads,
    paper="Ours: a small parallel world with known facts, so that every step of a recipe has a measurable effect.",
)
