"""`sampan chat`: talk to a model in the terminal; answers appear as they are made."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..core.errors import SampanError

if TYPE_CHECKING:
    from ..model.generate import Decoding
    from .engine import Engine

HELP = """/reset        forget the conversation
/undo         take back the last question and its answer
/system TEXT  set what the model is told first (without TEXT: remove it)
/help         this list
/quit         leave (so does Ctrl-D); Ctrl-C ends an answer"""


class Conversation:
    """Turns so far and the system prompt, with the commands that change them."""

    def __init__(self, system: str = "") -> None:
        self.system = system
        self.turns: list[dict[str, str]] = []

    def messages(self, question: str) -> list[dict[str, str]]:
        """The whole conversation, ending with `question`."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, *self.turns, {"role": "user", "content": question}]

    def add(self, question: str, answer: str) -> None:
        self.turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]

    def undo(self) -> bool:
        """Whether there was a turn to take back."""
        had = bool(self.turns)
        del self.turns[-2:]
        return had


def chat_terminal(
    engine: Engine,
    *,
    decoding: Decoding,
    system: str = "",
    stops: Sequence[str] = (),
    seed: int | None = None,
    read: Callable[[str], str] = input,
    write: Callable[[str], None] = lambda text: print(text, end="", flush=True),
) -> Conversation:
    """Read lines with `read(prompt)` and answer with `write(text)` until /quit or end of input.

    With `seed` given, the n-th answer is sampled with seed + n; otherwise every answer is new. Returns the
    conversation as it was at the end.
    """
    conversation = Conversation(system)
    answered = 0
    while True:
        try:
            line = read("> ").strip()
        except (EOFError, KeyboardInterrupt):
            write("\n")
            return conversation
        if line in ("/quit", "/exit"):
            return conversation
        if line.startswith("/"):
            write(_command(conversation, line) + "\n")
        elif line:
            drawn = secrets.randbits(48) if seed is None else seed + answered
            answered += 1
            _answer(engine, conversation, line, dataclasses.replace(decoding, seed=drawn), stops, write)


def _command(conversation: Conversation, line: str) -> str:
    name, _, rest = line.partition(" ")
    if name == "/reset":
        conversation.turns.clear()
        return "The conversation is forgotten."
    if name == "/undo":
        return "The last turn is taken back." if conversation.undo() else "There is nothing to take back."
    if name == "/system":
        conversation.system = rest.strip()
        return "The system prompt is set." if conversation.system else "The system prompt is removed."
    return HELP if name == "/help" else f"There is no command {name}.\n{HELP}"


def _answer(
    engine: Engine,
    conversation: Conversation,
    question: str,
    decoding: Decoding,
    stops: Sequence[str],
    write: Callable[[str], None],
) -> None:
    parts: list[str] = []
    try:
        reply = engine.chat(conversation.messages(question), decoding, stops=stops)
    except SampanError as error:
        write(f"{error}\n")
        return
    try:
        for piece in reply:
            parts.append(piece)
            write(piece)
    except KeyboardInterrupt:
        reply.close()
        write(" …")
    write("\n")
    conversation.add(question, "".join(parts))
