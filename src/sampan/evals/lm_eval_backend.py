"""lm-evaluation-harness's model interface on our scoring and generation: its requests, its tokens, our forward passes.

Texts become tokens by the rules of lm-eval's own `hf` backend (where a continuation begins, what stands before an empty
context, when BOS is added), so that scores are the same item by item; each text is encoded once. What differs is how
they are run: see `model.scoring` and `model.generate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from ..core.errors import InputError, RecipeError
from ..core.identity import canonical_json
from ..model.encoding import first_token
from ..model.generate import Decoding, generate
from ..model.scoring import Likelihood, Pair, continuations
from ..model.stopping import stop_test
from .answers import cut
from .examinee import scored_in_pieces
from .team import PROMPTS, Progress, whole

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

DEFAULT_NEW_TOKENS = 256
"""Longest answer where a task does not say: lm-eval's default."""
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_KNOWN = {"until", "do_sample", "temperature", "top_p", *_LENGTHS}
_NEUTRAL: dict[str, tuple] = {"num_beams": (1,), "top_k": (0, None), "repetition_penalty": (1, 1.0)}


class SampanLM(TemplateLM):
    """A loaded checkpoint behind lm-eval's `LM`. `progress(done, total)` is told in requests of the running call."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        *,
        batch_tokens: int = 2048,
        batch_size: int = 32,
        seed: int = 0,
        progress: Progress = lambda done, total: None,
        pieces: Callable[..., list] = whole,
    ) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.batch_tokens, self.batch_size, self.seed = batch_tokens, batch_size, seed
        self.progress, self.pieces = progress, pieces
        self.cut_off: set[tuple[str, int]] = set()
        """Task and document of each answer that ran into its limit of tokens."""
        self._device = model.device
        # Gemma does not work without BOS, whatever its tokenizer's settings say; lm-eval's rule.
        self.add_bos = True if "gemma" in model.config.model_type else None

    @property
    def eot_token_id(self) -> int:
        return self.tokenizer.eos_token_id

    @property
    def prefix_token_id(self) -> int:
        return first_token(self.tokenizer)

    @property
    def max_length(self) -> int:
        return self.model.config.max_position_embeddings

    @property
    def max_gen_toks(self) -> int:
        return DEFAULT_NEW_TOKENS

    @property
    def tokenizer_name(self) -> str:
        return self.tokenizer.name_or_path.replace("/", "__")

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The conversation as text; an assistant's turn that is begun stays open. InputError without a template."""
        if not self.tokenizer.chat_template:
            raise InputError("this tokenizer has no chat template", how="Leave `apply_chat_template` off.")
        from jinja2.exceptions import TemplateError

        from ..model.chat import date_string

        options = {"add_generation_prompt": add_generation_prompt, "continue_final_message": not add_generation_prompt}
        options["date_string"] = date_string()
        try:
            return self.tokenizer.apply_chat_template(chat_history, tokenize=False, **options)
        except TemplateError:  # many templates know no system turn; lm-eval then leaves it out
            rest = [message for message in chat_history if message["role"] != "system"]
            return self.tokenizer.apply_chat_template(rest, tokenize=False, **options)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs) -> list[int]:
        return self._encode([string], add_special_tokens)[string]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """As lm-eval splits pairs, with every text encoded once and all of them together."""
        pairs = [_blanks_to_the_right(*request.args) for request in requests]
        with_context = [pair for pair in pairs if pair[0]]
        ids = self._encode(text for context, rest in with_context for text in (context, context + rest))
        bare = self._encode((rest for context, rest in pairs if not context), special=False)
        rows = []
        for (context, rest), request in zip(pairs, requests, strict=True):
            if context:
                row = ids[context], ids[context + rest][len(ids[context]) :]
            else:
                row = [self.prefix_token_id], bare[rest]
                if row[1][:1] == row[0]:
                    row = row[1][:1], row[1][1:]
            if not row[1]:
                raise InputError(
                    f"the continuation {request.args[1]!r} adds no token to its context",
                    where=f"task {request.task_name}, document {request.doc_id}",
                    how="The tokenizer joins it with the context's end. Begin it with a blank or another character.",
                )
            rows.append(((context, rest), *row))
        return self._loglikelihood_tokens(rows)

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **kwargs
    ) -> list[tuple[float, bool]]:
        pairs = [(context, continuation) for _, context, continuation in requests]

        def score(piece: Sequence[Pair], progress: Progress) -> list[Likelihood]:
            return continuations(self.model, piece, max_batch_tokens=self.batch_tokens, progress=progress)

        return [(one.logprob, one.greedy) for one in scored_in_pieces(score, pairs, self.pieces, self.progress)]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Log-probability of whole texts, in windows with as much context as fits."""
        ids = self._encode(request.args[0] for request in requests)
        rows, owner = [], []
        for number, request in enumerate(requests):
            windows = get_rolling_token_windows(
                token_list=ids[request.args[0]],
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            for window in windows:
                rows.append((None, *make_disjoint_window(window)))
                owner.append(number)
        totals = [0.0] * len(requests)
        for number, (logprob, _) in zip(owner, self._loglikelihood_tokens(rows), strict=True):
            totals[number] += logprob
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answers up to the first stop string; requests with the same settings run together."""
        groups: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            groups.setdefault(canonical_json(request.args[1]), []).append(number)
        out = [""] * len(requests)
        done = 0
        for numbers in groups.values():
            texts = self._generate(
                [requests[n].args[0] for n in numbers],
                requests[numbers[0]].args[1],
                numbers,
                lambda part, of, done=done: self.progress(done + part, len(requests)),
            )
            for number, (text, at_limit) in zip(numbers, texts, strict=True):
                out[number] = text
                if at_limit:
                    self.cut_off.add((requests[number].task_name, requests[number].doc_id))
            done += len(numbers)
        return out

    def _generate(
        self, prompts: Sequence[str], settings: Mapping[str, Any], streams: Sequence[int], progress: Progress
    ) -> list[tuple[str, bool]]:
        """Each answer, and whether it ended at its limit of tokens and not at a stop."""
        decoding, stops = read_settings(settings, self.seed)
        ids = self._encode(prompts)
        end = self.model.generation_config.eos_token_id
        ends = {self.tokenizer.eos_token_id, *(end if isinstance(end, list) else [end])} - {None}

        def work(piece: Sequence[list[int]], start: int, progress: Progress) -> list[list[int]]:
            return generate(
                self.model,
                piece,
                decoding,
                stop_ids=sorted(ends),
                streams=streams[start : start + len(piece)],
                batch_size=self.batch_size,
                ended=[stop_test(self.tokenizer, stops)] * len(piece),
                progress=progress,
            )

        rows = self.pieces([ids[prompt] or [self.prefix_token_id] for prompt in prompts], PROMPTS, work, progress)
        if self.tokenizer.eos_token:
            stops = [*stops, self.tokenizer.eos_token]
        texts = self.tokenizer.batch_decode(rows, skip_special_tokens=True)
        kept = [cut(text, stops) for text in texts]
        full = [len(ids) == decoding.max_new_tokens for ids in rows]
        return [(short, long and short == text) for short, text, long in zip(kept, texts, full, strict=True)]

    def _encode(self, texts: Iterable[str], special: bool | None = None) -> dict[str, list[int]]:
        """Ids by text. A text that begins with BOS (from a chat template) gets no second one."""
        texts = list(dict.fromkeys(texts))
        bos = self.tokenizer.decode([self.prefix_token_id])
        found = {}
        for has_bos in (False, True):
            part = [text for text in texts if text.startswith(bos) == has_bos]
            choice = special if special is not None else False if has_bos else self.add_bos
            options = {} if choice is None else {"add_special_tokens": choice}
            if part:
                found.update(zip(part, self.tokenizer(part, **options)["input_ids"], strict=True))
        return found


def read_settings(settings: Mapping[str, Any], seed: int) -> tuple[Decoding, list[str]]:
    """A task's `generation_kwargs` as decoding and stop strings; RecipeError for what this backend cannot do."""
    given = {key: value for key, value in settings.items() if value is not None}
    until = given.get("until") or []
    length = next((int(given[name]) for name in _LENGTHS if name in given), DEFAULT_NEW_TOKENS)
    temperature = float(given.get("temperature", 0.0))
    sample = bool(given.get("do_sample", temperature > 0))
    odd = sorted(key for key in given.keys() - _KNOWN if given[key] not in _NEUTRAL.get(key, ()))
    if odd and (sample or set(odd) - {"top_k"}):
        raise RecipeError(
            f"the backend `sampan` does not know the generation setting '{odd[0]}'",
            where="generation_kwargs",
            how="Take it out of the task or set backend: hf.",
        )
    if sample and not temperature:
        temperature = 1.0
    decoding = Decoding(
        max_new_tokens=length,
        temperature=temperature if sample else 0.0,
        top_p=float(given.get("top_p", 1.0)) if sample else 1.0,
        seed=seed,
    )
    return decoding, [until] if isinstance(until, str) else list(until)


def _blanks_to_the_right(context: str, continuation: str) -> tuple[str, str]:
    """Blanks at the end of a context belong to the continuation."""
    kept = context.rstrip()
    return kept, context[len(kept) :] + continuation
