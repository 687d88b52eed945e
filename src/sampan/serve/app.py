"""The HTTP API: OpenAI's models, chat completions and completions over one engine, and the chat page."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ..core.errors import InputError
from ..model.generate import Decoding
from .engine import ContextError, Engine, Reply
from .guard import check_host, check_token, read_body
from .logprobs import token_logprobs
from .page import page_response
from .queue import Gone, ModelQueue, QueueFull
from .requests import ApiError, Asked, parse_common, parse_echo, parse_logprobs, parse_messages, parse_prompt


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a server behaves."""

    name: str
    """What the model is called."""
    token: str | None = None
    """Bearer token that every /v1 request must carry."""
    allowed_hosts: Sequence[str] | None = None
    """Host names answered to; None for any."""
    max_body_bytes: int = 1 << 20
    max_tokens: int = 4096
    """The most that one request may ask for."""
    max_waiting: int = 64
    """Requests in hand at once; more are told to come back."""


class Api:
    """The routes' handlers around one engine and its queue."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine, self.settings = engine, settings
        self.queue = ModelQueue(max_waiting=settings.max_waiting)
        self.started = int(time.time())

    async def health(self, request: Request) -> Response:
        check_host(request, self.settings.allowed_hosts)
        facts = {
            "status": "ok",
            "model": self.settings.name,
            "chats": self.engine.chats,
            "token_required": self.settings.token is not None,
            "temperature": self.engine.temperature,
            "max_tokens": self._default_tokens(),
            "waiting": self.queue.waiting,
        }
        return JSONResponse(facts)

    async def page(self, request: Request) -> Response:
        check_host(request, self.settings.allowed_hosts)
        return page_response()

    async def models(self, request: Request) -> Response:
        self._admit(request)
        model = {"id": self.settings.name, "object": "model", "created": self.started, "owned_by": "sampan"}
        if "name" not in request.path_params:
            return JSONResponse({"object": "list", "data": [model]})
        if request.path_params["name"] != self.settings.name:
            raise ApiError(404, f"there is no model '{request.path_params['name']}' here", code="model_not_found")
        return JSONResponse(model)

    async def chat(self, request: Request) -> Response:
        body = await self._body(request)
        asked = self._asked(body, chat=True)
        messages = parse_messages(body.get("messages"))
        reply = self._reply(lambda: self.engine.chat(messages, self._decoding(asked), stops=asked.stops))
        shape = _Shape("chat.completion", "chatcmpl", self.settings.name)
        if asked.stream:
            return self._stream(request, reply, shape, asked)
        text = await self._whole(request, reply)
        choice = {"index": 0, "message": {"role": "assistant", "content": text, "refusal": None}, "logprobs": None}
        return JSONResponse(shape.whole({**choice, "finish_reason": reply.finish}, reply))

    async def completions(self, request: Request) -> Response:
        body = await self._body(request)
        asked, echo, logprobs = self._asked(body, chat=False), parse_echo(body), parse_logprobs(body)
        prompt = parse_prompt(body.get("prompt"), self.engine.model.config.vocab_size)
        if asked.stream and logprobs is not None:
            raise ApiError(400, "'logprobs' are not given with 'stream'", param="logprobs", code="unsupported_value")
        ids = _or_400(lambda: self.engine.text_ids(prompt) if isinstance(prompt, str) else prompt)
        if asked.max_tokens == 0:
            _or_400(lambda: self.engine.check_fits(ids))
            reply: Reply | _Nothing = _Nothing(ids)
        else:
            reply = self._reply(lambda: self.engine.complete(prompt, self._decoding(asked), stops=asked.stops))
        shape = _Shape("text_completion", "cmpl", self.settings.name)
        before = (prompt if isinstance(prompt, str) else self._text(ids)) if echo else ""
        if asked.stream:
            return self._stream(request, reply, shape, asked, before=before)
        scored = None if logprobs is None else _Scored(self.engine, reply, ids, 0 if echo else len(ids), logprobs)
        text = before + await self._whole(request, scored or reply)
        values = scored.logprobs if scored else None
        choice = {"index": 0, "text": text, "logprobs": values, "finish_reason": reply.finish}
        return JSONResponse(shape.whole(choice, reply))

    def _admit(self, request: Request) -> None:
        check_host(request, self.settings.allowed_hosts)
        check_token(request, self.settings.token)

    async def _body(self, request: Request) -> dict[str, Any]:
        self._admit(request)
        raw = await read_body(request, self.settings.max_body_bytes)
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise ApiError(400, f"the body is not JSON ({str(error)[:100]})") from None

    def _asked(self, body: Any, *, chat: bool) -> Asked:
        return parse_common(body, self.engine, name=self.settings.name, limit=self.settings.max_tokens, chat=chat)

    def _default_tokens(self) -> int:
        return min(self.engine.max_new_tokens, self.settings.max_tokens)

    def _decoding(self, asked: Asked) -> Decoding:
        most = self._default_tokens() if asked.max_tokens is None else asked.max_tokens
        return Decoding(max_new_tokens=most, temperature=asked.temperature, top_p=asked.top_p, seed=asked.seed)

    def _reply(self, make: Any) -> Reply:
        return _or_400(make)

    def _text(self, ids: Sequence[int]) -> str:
        return self.engine.tokenizer.decode(ids, skip_special_tokens=True)

    async def _whole(self, request: Request, reply: Any) -> str:
        """All of a reply; ends the work when the client has gone."""
        parts = []
        async with contextlib.aclosing(self._pieces(request, reply)) as pieces:
            async for piece in pieces:
                parts.append(piece)
        return "".join(parts)

    async def _pieces(self, request: Request, reply: Any) -> AsyncIterator[str]:
        try:
            async with contextlib.aclosing(self.queue.pieces(reply, request.is_disconnected)) as pieces:
                async for piece in pieces:
                    yield piece
        except QueueFull:
            raise ApiError(503, "too many requests are waiting; try again soon", code="busy") from None
        except Gone:
            raise ClientDisconnect from None

    def _stream(self, request: Request, reply: Any, shape: _Shape, asked: Asked, *, before: str = "") -> Response:
        if self.queue.waiting >= self.settings.max_waiting:  # told before the stream begins, with its own status
            raise ApiError(503, "too many requests are waiting; try again soon", code="busy")

        async def events() -> AsyncIterator[str]:
            try:
                yield shape.event("", first=True)
                if before:
                    yield shape.event(before)
                async with contextlib.aclosing(self._pieces(request, reply)) as pieces:
                    async for piece in pieces:
                        yield shape.event(piece)
                yield shape.event("", finish=reply.finish)
                if asked.include_usage:
                    yield shape.usage_event(reply)
            except ClientDisconnect:
                return
            except Exception as error:  # the status is sent already: say it in the stream
                problem = error if isinstance(error, ApiError) else ApiError(500, _unexpected(error))
                yield f"data: {json.dumps(problem.body())}\n\n"
            yield "data: [DONE]\n\n"

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


class _Nothing:
    """A reply of no tokens, for requests that only want their prompt scored."""

    finish, completion_tokens = "length", 0

    def __init__(self, ids: Sequence[int]) -> None:
        self.prompt_tokens, self.ids = len(ids), []

    def __iter__(self):
        return iter(())

    def close(self) -> None:
        """Nothing runs."""


class _Scored:
    """A reply, then the log-probabilities of all tokens from `start` on, in one turn of the queue.

    So the request is admitted once, and nothing is scored for a client that has gone.
    """

    def __init__(self, engine: Engine, reply: Reply | _Nothing, ids: Sequence[int], start: int, top: int) -> None:
        self._engine, self._reply, self._ids, self._start, self._top = engine, reply, ids, start, top
        self.logprobs: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[str]:
        yield from self._reply
        every = [*self._ids, *self._reply.ids]
        self.logprobs = token_logprobs(self._engine, every, start=self._start, top=self._top)

    def close(self) -> None:
        self._reply.close()


class _Shape:
    """OpenAI's envelopes of one response, whole or in events."""

    def __init__(self, kind: str, prefix: str, model: str) -> None:
        self._kind = kind
        self._head = {"id": f"{prefix}-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def whole(self, choice: Mapping[str, Any], reply: Any) -> dict[str, Any]:
        return {**self._head, "object": self._kind, "choices": [choice], "usage": _usage(reply)}

    def event(self, text: str, *, first: bool = False, finish: str | None = None) -> str:
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": finish}
        if self._kind == "text_completion":
            choice["text"] = text
        elif first:
            choice["delta"] = {"role": "assistant", "content": ""}
        else:
            choice["delta"] = {"content": text} if text else {}
        return self._event([choice])

    def usage_event(self, reply: Any) -> str:
        return self._event([], usage=_usage(reply))

    def _event(self, choices: list[Any], **more: Any) -> str:
        kind = "chat.completion.chunk" if self._kind == "chat.completion" else self._kind
        data = {**self._head, "object": kind, "choices": choices, **more}
        return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _usage(reply: Any) -> dict[str, int]:
    prompt, answer = reply.prompt_tokens, reply.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def _or_400(make: Any) -> Any:
    try:
        return make()
    except ContextError as error:
        raise ApiError(400, str(error), code="context_length_exceeded") from None
    except InputError as error:
        raise ApiError(400, str(error)) from None


def _unexpected(error: BaseException) -> str:
    return f"the server failed ({type(error).__name__})"


def build_app(engine: Engine, settings: Settings) -> Starlette:
    """The ASGI application. Every error is JSON in OpenAI's shape; pages of other origins get no access (no CORS)."""
    api = Api(engine, settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette):
        yield
        api.queue.close()

    async def on_api_error(request: Request, error: ApiError) -> Response:
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {"Retry-After": "2"}
        return JSONResponse(error.body(), error.status, headers if error.status in (401, 503) else None)

    async def on_http_error(request: Request, error: HTTPException) -> Response:
        return JSONResponse(ApiError(error.status_code, error.detail).body(), error.status_code, error.headers)

    async def on_gone(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=499)  # nobody reads it

    async def on_error(request: Request, error: Exception) -> Response:
        return JSONResponse(ApiError(500, _unexpected(error)).body(), 500)

    return Starlette(
        routes=[
            Route("/", api.page),
            Route("/health", api.health),
            Route("/v1/models", api.models),
            Route("/v1/models/{name:path}", api.models),
            Route("/v1/chat/completions", api.chat, methods=["POST"]),
            Route("/v1/completions", api.completions, methods=["POST"]),
        ],
        exception_handlers={
            ApiError: on_api_error,
            HTTPException: on_http_error,
            ClientDisconnect: on_gone,
            Exception: on_error,
        },
        lifespan=lifespan,
    )
