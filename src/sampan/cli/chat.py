"""Talk to a model in the terminal: a checkpoint of the store, or any Hugging Face folder with a chat template. Answers
stream; /help lists what else can be said."""

from __future__ import annotations

import argparse

from .main import add_store
from .models import model_folder

EXAMPLES = """examples:
  sampan chat village/final
  sampan chat village/final --system "Answer in Thai." --temperature 0.7
  sampan chat ./my-model"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="recipe/stage, the start of a digest, or a Hugging Face folder")
    parser.add_argument("--system", default="", help="the system prompt")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 always takes the likeliest word (default 0)")
    parser.add_argument("--top-p", type=float, default=1.0, help="probability mass to sample from (default 1)")
    parser.add_argument("--max-tokens", type=int, default=256, metavar="N", help="longest answer (default 256)")
    parser.add_argument("--seed", type=int, help="repeat a sampled conversation")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    add_store(parser)


def call(options: argparse.Namespace) -> int:
    folder, _ = model_folder(options)
    from ..model.generate import Decoding
    from ..serve.engine import Engine
    from ..serve.terminal import chat_terminal

    decoding = Decoding(
        max_new_tokens=options.max_tokens, temperature=options.temperature, top_p=options.top_p, seed=options.seed or 0
    )
    chat_terminal(Engine(folder, device=options.device), decoding=decoding, system=options.system, seed=options.seed)
    return 0
