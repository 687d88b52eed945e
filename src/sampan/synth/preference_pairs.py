"""Sample, filter, judge, keep: the pipeline of `synth.self_preference`, with a count for everything left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..artifacts.conversations import Message, Preference, read_conversations, write_preferences
from ..core.errors import RecipeError, StageError
from ..core.identity import digest_value
from ..core.stage import Artifact, Inputs, Runtime
from ..lang.codes import normalise_code
from .answer_filters import Answer, refuse_pair
from .judging import Judge, Verdict, judge_pairs, model_judge, phrasings
from .resume import in_pieces

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from .self_preference import Params

PROMPTS_PER_PIECE = 32


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation up to the user's last turn. `key` is the digest of its messages and names the pair."""

    key: str
    messages: list[Message]
    language: str
    license: str
    source: str


class Tally:
    """Counts for the summary: what was dropped and why, and how the judge behaved."""

    def __init__(self) -> None:
        self.dropped: dict[str, Counter[str]] = defaultdict(Counter)
        self.judged: Counter[str] = Counter()
        self.agreed: Counter[str] = Counter()
        self.first: Counter[str] = Counter()
        self.gaps: list[int] = []

    def drop(self, reason: str, language: str) -> None:
        self.dropped[reason][language] += 1

    def verdict(self, verdict: Verdict, language: str) -> None:
        if verdict.asked:
            self.judged[language] += 1
            self.agreed[language] += verdict.winner is not None
            self.first[language] += verdict.first_position

    def summary(self, prompts: int) -> dict[str, Any]:
        """Rates are None where nothing was judged or kept. The gap is chosen minus rejected, in characters."""
        return {
            "prompts": prompts,
            "pairs": len(self.gaps),
            "judged": self.judged.total(),
            "dropped": {reason: dict(sorted(c.items())) for reason, c in sorted(self.dropped.items())},
            "agreement_rate": _rate(self.agreed.total(), self.judged.total()),
            "first_position_rate": _rate(self.first.total(), 2 * self.judged.total()),
            "mean_length_gap": _rate(sum(self.gaps), len(self.gaps)),
            "judge_by_language": {
                language: {
                    "judged": count,
                    "agreement_rate": _rate(self.agreed[language], count),
                    "first_position_rate": _rate(self.first[language], 2 * count),
                }
                for language, count in sorted(self.judged.items())
            },
        }


def make_pairs(params: Params, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Run the whole stage; returns its counts."""
    import torch

    torch.set_num_threads(max(1, runtime.threads))
    tally = Tally()
    prompts, given = read_prompts(inputs.many("prompts"), tally, params.max_prompts)
    artifact = inputs.one("model")
    model, tokenizer = _load(artifact, params, runtime)
    prompts = _fitting(model, tokenizer, prompts, params, tally)
    pairs: list[tuple[Answer, Answer]] = []
    sample, alone = lambda part: sample_pairs(model, tokenizer, part, params), runtime.spread.processes == 1
    for rows in in_pieces(runtime.state, "answers", prompts, PROMPTS_PER_PIECE, sample, alone=alone):
        pairs += [(Answer(**row["first"]), Answer(**row["second"])) for row in rows]
        runtime.progress(len(pairs), 2 * len(prompts), "prompts")
    judging = inputs.optional("judge")
    if judging is not None and judging.digest != artifact.digest:
        del model, tokenizer  # one model in memory at a time
        model, tokenizer = _load(judging, params, runtime)
    judge = model_judge(model, tokenizer, params.verdict_labels, batch_tokens=params.batch_tokens)
    verdicts = judge_all(judge, prompts, pairs, params, runtime, tally)
    kept = _preferences(prompts, pairs, verdicts, tally)
    write_preferences(runtime.out, kept, extra=tally.summary(given))
    return {
        "rows": len(kept),
        "prompts": given,
        "licenses": sorted({prompt.license for prompt in prompts} - {""}),
        "agreement_rate": _rate(tally.agreed.total(), tally.judged.total()),
    }


def read_prompts(sources: Sequence[Artifact], tally: Tally, limit: int = 0) -> tuple[list[Prompt], int]:
    """Prompts (trailing assistant turns dropped, repeats and prompts without a user's turn left out), and how many
    conversations were given."""
    prompts: dict[str, Prompt] = {}
    given = 0
    for source in sources:
        for conversation in read_conversations(source):
            language = _code(conversation.language)
            if limit and len(prompts) >= limit:
                break
            given += 1
            messages = list(conversation.messages)
            while messages and messages[-1]["role"] == "assistant":
                messages.pop()
            key = digest_value(messages)
            if not messages or messages[-1]["role"] != "user" or not messages[-1]["content"].strip():
                tally.drop("no_user_turn", language)
            elif key in prompts:
                tally.drop("repeated_prompt", language)
            else:
                prompts[key] = Prompt(key, messages, language, conversation.license, conversation.source)
    if not prompts:
        raise StageError("no prompt to answer", where="synth.self_preference", how="Check the input `prompts`.")
    return list(prompts.values()), given


def _decoding(params: Params) -> Any:
    from ..model.generate import Decoding

    return Decoding(
        max_new_tokens=params.max_new_tokens, temperature=params.temperature, top_p=params.top_p, seed=params.seed
    )


def _fitting(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[Prompt],
    params: Params,
    tally: Tally,
) -> list[Prompt]:
    """The prompts that the model reads whole, with room for an answer; the others are counted and left out."""
    from ..model.chat import prompt_ids
    from ..model.generate import prompt_room

    room, kept = prompt_room(model, _decoding(params)), []
    for prompt in prompts:
        if len(prompt_ids(tokenizer, prompt.messages)) > room:
            tally.drop("prompt_too_long", prompt.language)
        else:
            kept.append(prompt)
    if not kept:
        raise StageError(
            f"every prompt is longer than the {room} tokens that the window leaves beside an answer",
            where="synth.self_preference",
            how="Lower max_new_tokens.",
        )
    return kept


def sample_pairs(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, prompts: Sequence[Prompt], params: Params
) -> list[dict[str, Any]]:
    """Two answers for each prompt. The random stream belongs to the prompt's words: other prompts do not change it."""
    from ..model.chat import prompt_ids
    from ..model.generate import generate
    from ..model.stopping import end_ids

    ids = [prompt_ids(tokenizer, prompt.messages) for prompt in prompts for _ in range(2)]
    streams = [2 * int(prompt.key[:14], 16) + which for prompt in prompts for which in range(2)]
    out = generate(
        model,
        ids,
        _decoding(params),
        stop_ids=end_ids(model, tokenizer),
        streams=streams,
        batch_size=params.batch_size,
    )
    answers = [
        {
            "text": tokenizer.decode(row, skip_special_tokens=True).strip(),
            "ended": len(row) < params.max_new_tokens,
        }
        for row in out
    ]
    return [{"first": a, "second": b} for a, b in zip(answers[::2], answers[1::2], strict=True)]


def judge_all(
    judge: Judge,
    prompts: Sequence[Prompt],
    pairs: Sequence[tuple[Answer, Answer]],
    params: Params,
    runtime: Runtime,
    tally: Tally,
) -> dict[int, Verdict]:
    """Verdicts by number of the prompt, for the pairs that pass the filters; the others are counted in `tally`."""
    phrasing = phrasings(params.judge_template, params.criteria, params.verdict_labels, params.by_language)
    share = params.min_script_share if params.require_script else None
    fit = []
    for number, (prompt, pair) in enumerate(zip(prompts, pairs, strict=True)):
        if reason := refuse_pair(*pair, prompt.language, min_script_share=share):
            tally.drop(reason, prompt.language)
        else:
            fit.append(number)

    def work(numbers: Sequence[int]) -> list[dict[str, Any]]:
        asked = [
            (phrasing(prompts[n].language), prompts[n].messages, pairs[n][0].text, pairs[n][1].text) for n in numbers
        ]
        return [asdict(verdict) for verdict in judge_pairs(judge, asked)]

    verdicts: dict[int, Verdict] = {}
    for rows in in_pieces(runtime.state, "verdicts", fit, PROMPTS_PER_PIECE, work, alone=runtime.spread.processes == 1):
        done = len(verdicts)
        verdicts.update(zip(fit[done : done + len(rows)], (Verdict(**row) for row in rows), strict=True))
        runtime.progress(len(prompts) * (len(fit) + len(verdicts)) // len(fit), 2 * len(prompts), "prompts")
    return verdicts


def _preferences(
    prompts: Sequence[Prompt],
    pairs: Sequence[tuple[Answer, Answer]],
    verdicts: dict[int, Verdict],
    tally: Tally,
) -> list[Preference]:
    kept = []
    for number, verdict in verdicts.items():
        prompt = prompts[number]
        tally.verdict(verdict, prompt.language)
        if verdict.winner is None:
            tally.drop(verdict.reason, prompt.language)
            continue
        chosen, rejected = pairs[number][verdict.winner].text, pairs[number][1 - verdict.winner].text
        tally.gaps.append(len(chosen) - len(rejected))
        kept.append(
            Preference(
                id=prompt.key[:16],
                prompt=prompt.messages,
                chosen=chosen,
                rejected=rejected,
                language=prompt.language,
                source=prompt.source or "self_preference",
                license=prompt.license,
                meta={"margin": round((abs(verdict.margin_ab) + abs(verdict.margin_ba)) / 2, 4)},
            )
        )
    return kept


def _load(artifact: Artifact, params: Params, runtime: Runtime) -> tuple[Any, Any]:
    from ..model.checkpoint import load_model
    from ..model.tokenizer import load_tokenizer

    model = load_model(artifact.path, dtype=params.dtype, device=runtime.own_device)
    return model, load_tokenizer(artifact.path)


def _code(language: str) -> str:
    """The full code of a language we know (th, tha and th-TH are tha_Thai); other names stay as they are."""
    try:
        return normalise_code(language) if language else ""
    except RecipeError:
        return language


def _rate(part: float, whole: float) -> float | None:
    return round(part / whole, 6) if whole else None
