"""Serve a model: OpenAI's chat and completion requests under /v1, streaming or not, and a chat page at /. Binds to this
machine alone; to be reached from others it needs a token."""

from __future__ import annotations

import argparse
import os

from .main import add_store
from .models import model_folder

EXAMPLES = """examples:
  sampan serve village/final
  sampan serve village/final --port 8080 --open
  SAMPAN_TOKEN=secret sampan serve ./my-model --host 0.0.0.0

a client:
  from openai import OpenAI
  client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none")
  client.chat.completions.create(model="village/final", messages=[{"role": "user", "content": "Hello"}])"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="recipe/stage, the start of a digest, or a Hugging Face folder")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default 8000)")
    parser.add_argument("--token", default=os.environ.get("SAMPAN_TOKEN"), help="require it (better: $SAMPAN_TOKEN)")
    parser.add_argument("--insecure", action="store_true", help="bind beyond this machine without a token")
    parser.add_argument("--open", action="store_true", help="open the chat page in a browser")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    add_store(parser)


def call(options: argparse.Namespace) -> int:
    folder, name = model_folder(options)
    from ..serve.server import serve

    serve(
        folder,
        name=name,
        host=options.host,
        port=options.port,
        token=options.token,
        open_browser=options.open,
        insecure=options.insecure,
        device=options.device,
        on_ready=lambda url: print(
            f"{name} answers at {url} (chat page) and {url.rstrip('/')}/v1; Ctrl-C ends it", flush=True
        ),
    )
    return 0
