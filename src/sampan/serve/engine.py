"""One model, its tokenizer and its decoding defaults: conversations and prompts in, pieces of text out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError

if TYPE_CHECKING:
    from ..model.generate import Decoding

DEFAULT_TEMPERATURE = 0.7
"""Where the bundle says nothing; ours, not the paper's."""


class ContextError(InputError):
    """The prompt leaves no room for an answer."""


class Reply:
    """An answer in the making: iterate for its pieces of text.

    Afterwards `finish` is `stop` (end of turn or stop string) or `length`, `completion_tokens` counts the tokens chosen
    and `ids` holds them. Closing the iteration early (`close`) ends the generation.
    """

    def __init__(
        self, engine: Engine, prompt: list[int], decoding: Decoding, stops: Sequence[str], at_start: bool
    ) -> None:
        self.prompt_tokens, self.completion_tokens, self.finish = len(prompt), 0, "length"
        self.ids: list[int] = []
        self._pieces = self._run(engine, prompt, decoding, stops, at_start)

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def text(self) -> str:
        """The whole answer."""
        return "".join(self)

    def close(self) -> None:
        self._pieces.close()

    def _run(self, engine, prompt, decoding, stops, at_start):
        from ..model.generate import stream
        from .detokenise import Detokeniser
        from .stops import StopFilter

        detokeniser, stop = Detokeniser(engine.token_bytes, at_start=at_start), StopFilter(stops)
        for number in stream(engine.model, prompt, decoding, stop_ids=engine.stop_ids):
            self.ids.append(number)
            self.completion_tokens += 1
            if piece := stop.push(detokeniser.push(number)):
                yield piece
            if stop.stopped:
                break
        if not stop.stopped and (piece := stop.push(detokeniser.flush())):
            yield piece
        if stop.stopped or self.completion_tokens < decoding.max_new_tokens:
            self.finish = "stop"
        if not stop.stopped and (piece := stop.flush()):
            yield piece


class Engine:
    """A Hugging Face folder ready to talk. Not for two threads at once: the server queues its requests.

    Attributes: `context_len` in tokens, `temperature`, `top_p`, `max_new_tokens` (defaults from the folder's
    generation_config.json), `chats` (whether it has a chat template).
    """

    def __init__(self, folder: Path, *, dtype: str = "float32", device: str = "cpu") -> None:
        from ..model.chat import stop_ids
        from ..model.checkpoint import load_model
        from ..model.tokenizer import load_tokenizer
        from .detokenise import TokenBytes

        self.tokenizer = load_tokenizer(folder)
        self.model = load_model(folder, dtype=dtype, device=device)
        self.token_bytes = TokenBytes(self.tokenizer)
        self.context_len = int(self.model.config.max_position_embeddings)
        self.chats = bool(self.tokenizer.chat_template)
        defaults = _generation_defaults(folder)
        ends = defaults.get("eos_token_id") or []
        self.stop_ids = list(dict.fromkeys([*stop_ids(self.tokenizer), *([ends] if isinstance(ends, int) else ends)]))
        sampled = defaults.get("do_sample", True)
        self.temperature = float(defaults.get("temperature", DEFAULT_TEMPERATURE)) if sampled else 0.0
        self.top_p = float(defaults.get("top_p", 1.0))
        self.max_new_tokens = int(defaults.get("max_new_tokens", 1024))

    def chat(self, messages: Sequence[dict[str, str]], decoding: Decoding, *, stops: Sequence[str] = ()) -> Reply:
        """Answer a conversation (OpenAI-style messages). ContextError if it is too long, InputError if the chat
        template refuses it or there is none.
        """
        return self._reply(self.chat_ids(messages), decoding, stops, at_start=True)

    def complete(self, prompt: str | Sequence[int], decoding: Decoding, *, stops: Sequence[str] = ()) -> Reply:
        """Go on from a text, or from token ids. Text is given the BOS that documents were packed with."""
        ids = self.text_ids(prompt) if isinstance(prompt, str) else list(prompt)
        return self._reply(ids, decoding, stops, at_start=ids == [self.tokenizer.bos_token_id])

    def chat_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        from ..model.chat import prompt_ids

        return prompt_ids(self.tokenizer, messages, today=date.today())

    def text_ids(self, text: str) -> list[int]:
        """Ids of a text with BOS once in front where the vocabulary has one; InputError if nothing is left."""
        ids = self.tokenizer(text)["input_ids"] if text else []
        bos = self.tokenizer.bos_token_id
        if bos is not None and ids[:1] != [bos]:
            ids = [bos, *ids]
        if not ids:
            raise InputError("an empty prompt, and this vocabulary has no token for the beginning of a text")
        return ids

    def check_fits(self, ids: Sequence[int]) -> None:
        """ContextError if the model cannot read so many tokens at once."""
        if len(ids) > self.context_len:
            raise ContextError(f"the prompt has {len(ids)} tokens and the model reads {self.context_len}")

    def _reply(self, ids: list[int], decoding: Decoding, stops: Sequence[str], *, at_start: bool) -> Reply:
        room = self.context_len - len(ids)
        if room < 1:
            raise ContextError(f"the prompt has {len(ids)} tokens and the model reads {self.context_len}")
        fitting = dataclasses.replace(decoding, max_new_tokens=min(decoding.max_new_tokens, room))
        return Reply(self, ids, fitting, stops, at_start)


def _generation_defaults(folder: Path) -> dict[str, Any]:
    path = folder / "generation_config.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
