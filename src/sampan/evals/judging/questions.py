"""Questions of chat benchmarks, in the shapes in which they are published, and answers that were recorded to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...artifacts.conversations import conversation_of
from ...artifacts.tables import language_of, read_rows, with_id
from ...core.errors import InputError, RecipeError
from ...core.identity import digest_value
from ...core.stage import Artifact
from ...lang.codes import normalise_code

SHAPES = (
    "MT-Bench's and Sea-bench's `question_id, category, turns`; SeaBench's `unit_id, type, user_1, user_2, "
    "reference_1, reference_2`; SEA-HELM's `question_id, prompts, metadata.category`; or conversations (`messages`)"
)


@dataclass(frozen=True, slots=True)
class ChatQuestion:
    """A user's turns. `references` are good answers to the first turns, `recorded` other models' answers by name."""

    id: str
    category: str
    language: str
    turns: tuple[str, ...]
    references: tuple[str, ...] = ()
    system: str = ""
    recorded: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


def read_questions(sources: Sequence[Artifact], *, language: str, references: Sequence[Artifact]) -> list[ChatQuestion]:
    """All questions, in the order of files and rows; a row that names no language is in `language`.

    InputError for a row that lacks a field, a language that is not known, or a question that is there twice.
    """
    found: dict[tuple[str, str], ChatQuestion] = {}
    for source in sources:
        for place, row in read_rows(source.path):
            question = _question(with_id(row, source.path, place), place)
            question = replace(question, language=_code(question.language or language, place))
            if (question.language, question.id) in found:
                raise InputError(f"question '{question.id}' is there twice in {question.language}", where=place)
            found[question.language, question.id] = question
    if not found:
        raise InputError("there are no questions", where=", ".join(source.name for source in sources))
    given = read_answers(references)
    books = list(given.values())
    return [_with_reference(question, books) for question in found.values()]


def thinned(questions: Sequence[ChatQuestion], limit: int, seed: int) -> list[ChatQuestion]:
    """At most `limit` (0: all) of each language and category, in their order: those whose id hashes smallest."""
    groups: dict[tuple[str, str], list[ChatQuestion]] = defaultdict(list)
    for question in questions:
        groups[question.language, question.category].append(question)
    kept = set()
    for group in groups.values():
        ranked = sorted(group, key=lambda question: digest_value([seed, question.id]))
        kept |= {(question.language, question.id) for question in (ranked[:limit] if limit else ranked)}
    return [question for question in questions if (question.language, question.id) in kept]


class Answers:
    """Recorded answers of one model."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)

    def add(self, id: str, language: str, turns: tuple[str, ...], place: str) -> None:
        if language in self._rows[id]:
            raise InputError(f"question '{id}' has two answers of one model", where=place)
        self._rows[id][language] = turns

    def of(self, question: ChatQuestion) -> tuple[str, ...]:
        """The answers to a question, () if there are none; rows without a language count for every language."""
        rows = self._rows.get(question.id, {})
        return rows.get(question.language) or rows.get("") or ()


def read_answers(sources: Iterable[Artifact]) -> dict[str, Answers]:
    """Answers by model, in FastChat's shape: `question_id, model_id, choices: [{turns}]`, with a `lang` if they are in
    several languages. A folder that `evals.judge` made has them in `answers.jsonl`."""
    found: dict[str, Answers] = defaultdict(Answers)
    for source in sources:
        path = source.path / "answers.jsonl" if (source.path / "answers.jsonl").is_file() else source.path
        for place, row in read_rows(path):
            try:
                turns = tuple(row["choices"][0]["turns"])
                id, model = str(row["question_id"]), str(row["model_id"])
            except (KeyError, IndexError, TypeError):
                turns = id = model = None
            if not turns or not all(isinstance(text, str) for text in turns):
                raise InputError(
                    "not a recorded answer", where=place, how="Give `question_id, model_id, choices: [{turns: […]}]`."
                )
            said = language_of(row)
            found[model].add(id, _code(said, place) if said else "", turns, place)
    return dict(found)


def _question(row: Mapping[str, Any], place: str) -> ChatQuestion:
    if "turns" in row:
        return _of_turns(row, place)
    if "user_1" in row:
        numbers = [n for n in range(1, 10) if row.get(f"user_{n}")]
        turns = [row[f"user_{n}"] for n in numbers]
        references = [row[f"reference_{n}"] for n in numbers if row.get(f"reference_{n}")]
        return _made(row, place, row.get("unit_id", row.get("id")), row.get("type"), turns, references)
    if "prompts" in row:
        turns = [turn.get("text") if isinstance(turn, dict) else turn for turn in _list(row["prompts"], place)]
        meta = row.get("metadata") if isinstance(row.get("metadata"), dict) else {}
        asked = _made(
            row, place, row.get("question_id", row.get("id")), meta.get("category"), turns, row.get("references")
        )
        stored = row.get("baselines") if isinstance(row.get("baselines"), dict) else {}
        recorded = {str(name): _texts(texts, place) for name, texts in stored.items()}
        return replace(asked, recorded=recorded, language=asked.language or language_of(meta))
    if row.get("messages") or row.get("conversations"):
        return _of_conversation(dict(row), place)
    raise InputError(
        f"no question in this row, which has: {', '.join(sorted(row))}", where=place, how=f"Give {SHAPES}."
    )


def _of_turns(row: Mapping[str, Any], place: str) -> ChatQuestion:
    asked = _made(
        row, place, row.get("question_id", row.get("id")), row.get("category"), row["turns"], row.get("reference")
    )
    told = row.get("chatgpt_response")
    return replace(asked, recorded={"chatgpt": _texts(told, place)}) if told else asked


def _of_conversation(row: dict[str, Any], place: str) -> ChatQuestion:
    talk = conversation_of(row, place)
    by_role = {
        role: [m["content"] for m in talk.messages if m["role"] == role] for role in ("system", "user", "assistant")
    }
    category = talk.meta.get("category") or row.get("category") or "general"
    asked = _made(row, place, talk.id, category, by_role["user"], by_role["assistant"])
    return replace(asked, system="\n\n".join(by_role["system"]))


def _made(row: Mapping[str, Any], place: str, id: Any, category: Any, turns: Any, references: Any) -> ChatQuestion:
    for name, value in (("an id (`question_id` or `unit_id`)", id), ("a category (`category` or `type`)", category)):
        if value is None or value == "":
            raise InputError(f"this question has not {name}", where=place, how=f"Give {SHAPES}.")
    asked = _texts(turns, place)
    if not asked or not all(text.strip() for text in asked):
        raise InputError("this question has no turn, or an empty one", where=place, how=f"Give {SHAPES}.")
    return ChatQuestion(str(id), str(category), language_of(dict(row)), asked, _texts(references or [], place))


def _texts(value: Any, place: str) -> tuple[str, ...]:
    texts = tuple(_list(value, place))
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"turns must be texts, got {str(value)[:80]}", where=place)
    return texts


def _list(value: Any, place: str) -> list[Any]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | tuple):
        raise InputError(f"turns must be a list of texts, got {str(value)[:80]}", where=place)
    return list(value)


def _with_reference(question: ChatQuestion, books: Sequence[Answers]) -> ChatQuestion:
    found = next((turns for book in books if (turns := book.of(question))), ())
    return replace(question, references=found) if found else question


def _code(language: str, place: str) -> str:
    if not language:
        raise InputError(
            "this question does not name its language",
            where=place,
            how="Add a `lang` to the row, or set `language` for all rows that name none.",
        )
    try:
        return normalise_code(language)
    except RecipeError as error:
        raise InputError(error.what, where=place, how=error.how) from None
