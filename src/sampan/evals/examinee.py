"""Who is examined: whatever finds texts likely and answers prompts. Here a checkpoint; `served` has the other kind."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..core.stage import Artifact
from ..model.chat import stop_ids
from ..model.encoding import Prompt, encode_prompt
from ..model.generate import Decoding, generate
from ..model.scoring import Likelihood, Pair, continuations
from .bits_per_byte import document_bits
from .team import DOCUMENTS, PAIRS, PROMPTS, Progress, Team

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from .run import Params


class Examinee(Protocol):
    """One model under examination. `progress` is told in any unit."""

    tokenizer: PreTrainedTokenizerFast
    chats: bool
    """Whether messages are put to it as a chat."""

    def likelihoods(self, pairs: Sequence[Pair], progress: Progress) -> list[Likelihood]:
        """How likely it finds each continuation."""

    def bits(self, texts: Sequence[str], progress: Progress) -> list[float]:
        """Bits that it spends on each text."""

    def answers(self, prompts: Sequence[Prompt], stops: Sequence[Sequence[str]], progress: Progress) -> list[str]:
        """Its greedy answer to each prompt; what follows the first of the prompt's `stops` does not matter."""

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

    def answers(self, prompts: Sequence[Prompt], stops: Sequence[Sequence[str]], progress: Progress) -> list[str]:
        decoding, ends = Decoding(max_new_tokens=self._params.max_new_tokens), stop_ids(self.tokenizer)

        def work(piece: Sequence[list[int]], start: int, progress: Progress) -> list[list[int]]:
            size = self._params.batch_size
            return generate(self._model, piece, decoding, stop_ids=ends, batch_size=size, progress=progress)

        rows = self._team.cut([encode_prompt(self.tokenizer, prompt) for prompt in prompts], PROMPTS, work, progress)
        return [self.tokenizer.decode(ids, skip_special_tokens=True) for ids in rows]

    def told(self) -> dict[str, Any]:
        return {}

    def _score(self, pairs: Sequence[Pair], progress: Progress) -> list[Likelihood]:
        return continuations(self._model, pairs, max_batch_tokens=self._params.batch_tokens, progress=progress)
