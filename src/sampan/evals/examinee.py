"""Who is examined: whatever finds texts likely and answers prompts. Here a checkpoint; `served` has the other kind."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..core.stage import Artifact
from ..model.encoding import Prompt, encode_prompt
from ..model.generate import Decoding, generate
from ..model.scoring import Likelihood, Pair, continuations
from ..model.stopping import Ended, end_ids, stop_test
from .bits_per_byte import document_bits
from .team import DOCUMENTS, PAIRS, PROMPTS, Progress, Team

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from .run import Params


@dataclass(frozen=True)
class Ending:
    """Where an answer ends, if its model does not end it."""

    stops: tuple[str, ...] = ()
    """Texts behind which nothing matters."""
    max_new_tokens: int = 64


@dataclass(frozen=True)
class Written:
    """An answer, and whether it is as long as it was allowed to be and so may be unfinished."""

    text: str
    at_limit: bool = False


class Examinee(Protocol):
    """One model under examination. `progress` is told in any unit."""

    tokenizer: PreTrainedTokenizerFast
    chats: bool
    """Whether messages are put to it as a chat."""

    def likelihoods(self, pairs: Sequence[Pair], progress: Progress) -> list[Likelihood]:
        """How likely it finds each continuation."""

    def bits(self, texts: Sequence[str], progress: Progress) -> list[float]:
        """Bits that it spends on each text."""

    def answers(self, prompts: Sequence[Prompt], endings: Sequence[Ending], progress: Progress) -> list[Written]:
        """Its greedy answer to each prompt, up to its ending or longer."""

    def told(self) -> dict[str, Any]:
        """What is to be known of how it answered, beside the answers."""


def scored_in_pieces(
    score: Callable[[Sequence[Pair], Progress], list[Likelihood]],
    pairs: Sequence[Pair],
    cut: Callable[..., list],
    progress: Progress,
) -> list[Likelihood]:
    """What `score` gives for each pair, in the pieces into which `cut` (of a team, or `whole`) parts them."""

    def work(piece: Sequence[Pair], start: int, progress: Progress) -> list[tuple[float, int, bool]]:
        return [(found.logprob, found.tokens, found.greedy) for found in score(piece, progress)]

    return [Likelihood(*found) for found in cut(pairs, PAIRS, work, progress)]


class Checkpoint:
    """A checkpoint in this process. Its rows are cut into the pieces that the processes of a run share."""

    def __init__(self, params: Params, team: Team, artifact: Artifact) -> None:
        from ..model.checkpoint import load_model
        from ..model.tokenizer import load_tokenizer

        self.tokenizer = load_tokenizer(artifact.path)
        self.chats = bool(self.tokenizer.chat_template)
        self._model = load_model(artifact.path, dtype=params.dtype, device=team.device)
        self._params, self._team = params, team

    def likelihoods(self, pairs: Sequence[Pair], progress: Progress) -> list[Likelihood]:
        return scored_in_pieces(self._score, pairs, self._team.cut, progress)

    def bits(self, texts: Sequence[str], progress: Progress) -> list[float]:
        window = min(self._params.context_len, self._model.config.max_position_embeddings)

        def work(piece: Sequence[str], start: int, progress: Progress) -> list[float]:
            score = functools.partial(self._score, progress=progress)
            return document_bits(score, self.tokenizer, piece, context_len=window)

        return self._team.cut(texts, DOCUMENTS, work, progress)

    def answers(self, prompts: Sequence[Prompt], endings: Sequence[Ending], progress: Progress) -> list[Written]:
        rows = [encode_prompt(self.tokenizer, prompt) for prompt in prompts]
        by_length: dict[int, list[int]] = {}
        for number, ending in enumerate(endings):
            by_length.setdefault(self._room(ending.max_new_tokens), []).append(number)
        found: dict[int, Written] = {}
        for most, numbers in sorted(by_length.items()):
            tests = [stop_test(self.tokenizer, endings[number].stops) for number in numbers]

            def tell(done: int, of: int, before: int = len(found)) -> None:
                progress(before + done, len(prompts))

            ids = self._write([rows[number] for number in numbers], tests, most, tell)
            texts = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
            found |= {n: Written(text, len(row) == most) for n, text, row in zip(numbers, texts, ids, strict=True)}
        return [found[number] for number in range(len(prompts))]

    def _room(self, wanted: int) -> int:
        """Longest answer in tokens: the parameter's, or what its task says and half of the window at most."""
        window = self._model.config.max_position_embeddings
        return self._params.max_new_tokens or max(1, min(wanted, window // 2))

    def _write(
        self, rows: Sequence[list[int]], tests: Sequence[Ended], most: int, progress: Progress
    ) -> list[list[int]]:
        """New tokens behind each row, in the pieces that the processes of a run share."""
        decoding, ends = Decoding(max_new_tokens=most), end_ids(self._model, self.tokenizer)

        def work(piece: Sequence[list[int]], start: int, progress: Progress) -> list[list[int]]:
            return generate(
                self._model,
                piece,
                decoding,
                stop_ids=ends,
                batch_size=self._params.batch_size,
                ended=tests[start : start + len(piece)],
                progress=progress,
            )

        return self._team.cut(rows, PROMPTS, work, progress)

    def told(self) -> dict[str, Any]:
        return {}

    def _score(self, pairs: Sequence[Pair], progress: Progress) -> list[Likelihood]:
        return continuations(self._model, pairs, max_batch_tokens=self._params.batch_tokens, progress=progress)
