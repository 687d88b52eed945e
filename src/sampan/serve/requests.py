"""OpenAI's request bodies, checked field by field: what is asked becomes a value, what is not known an error."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import did_you_mean
from .engine import Engine

MAX_STOPS = 4
ROLES = ("system", "developer", "user", "assistant")
_IGNORED = ("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key")
_COMMON = ("model", "stream", "stream_options", "temperature", "top_p", "max_tokens", "stop", "seed", "n")
_CHAT = (*_COMMON, "messages", "max_completion_tokens")
_TEXT = (*_COMMON, "prompt", "echo", "logprobs")
# Accepted only with the value that changes nothing, because the answer would differ from what was asked for.
_NEUTRAL = {
    "frequency_penalty": (0, None), "presence_penalty": (0, None), "logit_bias": ({}, None), "best_of": (1, None),
    "suffix": ("", None), "tools": ([], None), "tool_choice": ("none", "auto", None), "functions": ([], None),
    "response_format": ({"type": "text"}, None), "top_logprobs": (0, None), "parallel_tool_calls": (True, False, None),
    "modalities": (["text"], None), "reasoning_effort": ("none", None),
}  # fmt: skip


class ApiError(Exception):
    """An answer that is an error, in OpenAI's shape. `status` is the HTTP status, `param` the field at fault."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    def body(self) -> dict[str, Any]:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What every request may ask for. `max_tokens` None means as many as the server gives by default."""

    temperature: float
    top_p: float
    max_tokens: int | None
    stops: tuple[str, ...]
    seed: int
    stream: bool
    include_usage: bool


def parse_common(body: Any, engine: Engine, *, name: str, limit: int, chat: bool) -> Asked:
    """Check the fields that chat and completions share, and that no unknown ones are there; ApiError otherwise."""
    if not isinstance(body, dict):
        raise ApiError(400, "the body must be a JSON object")
    known = _CHAT if chat else _TEXT
    for field, value in body.items():
        if field in _NEUTRAL:
            if value not in _NEUTRAL[field]:
                raise ApiError(400, f"'{field}' is not supported by this server", param=field, code="unsupported_value")
        elif chat and field == "logprobs" and not value:
            continue
        elif field not in known and field not in _IGNORED:
            raise ApiError(400, f"there is no parameter '{field}'. {did_you_mean(field, known)}", param=field)
    if body.get("model") not in (None, "", name):
        raise ApiError(
            404, f"there is no model '{body['model']}' here, only '{name}'", param="model", code="model_not_found"
        )
    if _number(body, "n", 1, low=1, high=None) != 1:
        raise ApiError(400, "this server gives one answer: n must be 1", param="n", code="unsupported_value")
    field = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    most = _number(body, field, None, low=1 if chat else 0, high=limit, whole=True)
    seed = _number(body, "seed", None, low=None, high=None, whole=True)
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise ApiError(400, "'stream_options' must be an object", param="stream_options")
    return Asked(
        temperature=_temperature(_number(body, "temperature", engine.temperature, low=0, high=2)),
        top_p=_above_zero(_number(body, "top_p", engine.top_p, low=0, high=1)),
        max_tokens=most,
        stops=_stops(body.get("stop")),
        seed=secrets.randbits(48) if seed is None else seed,
        stream=_flag(body, "stream"),
        include_usage=_flag(options, "include_usage"),
    )


def parse_messages(value: Any) -> list[dict[str, str]]:
    """Messages with plain text; content given in parts is joined. ApiError names the message at fault."""
    if not isinstance(value, list) or not value:
        raise ApiError(400, "'messages' must be a list with at least one message", param="messages")
    return [_message(item, f"messages[{number}]") for number, item in enumerate(value)]


def _message(item: Any, where: str) -> dict[str, str]:
    if not isinstance(item, dict):
        raise ApiError(400, f"{where} must be an object", param=where)
    role, content = item.get("role"), item.get("content")
    if role not in ROLES:
        raise ApiError(400, f"{where}.role must be one of {', '.join(ROLES)}", param=f"{where}.role")
    if isinstance(content, list):
        if not all(isinstance(part, dict) and part.get("type") == "text" for part in content):
            raise ApiError(400, f"{where}.content: this server reads text only", param=f"{where}.content")
        content = "".join(part["text"] if isinstance(part.get("text"), str) else "" for part in content)
    if not isinstance(content, str):
        raise ApiError(400, f"{where}.content must be a string", param=f"{where}.content")
    return {"role": "system" if role == "developer" else role, "content": _unicode(content, f"{where}.content")}


def parse_prompt(value: Any, vocabulary_size: int) -> str | list[int]:
    """A prompt as text or token ids; a list of one is taken as that one."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str | list):
        value = value[0]
    if isinstance(value, str):
        return _unicode(value, "prompt")
    if isinstance(value, list) and value and all(type(item) is int and 0 <= item < vocabulary_size for item in value):
        return value
    raise ApiError(400, "'prompt' must be one string or one list of token ids of this vocabulary", param="prompt")


def parse_logprobs(body: Mapping[str, Any]) -> int | None:
    """How many alternatives to name for each token, None if log-probabilities were not asked for."""
    value = _number(body, "logprobs", None, low=0, high=20, whole=True)
    return None if value is None else int(value)


def parse_echo(body: Mapping[str, Any]) -> bool:
    return _flag(body, "echo")


def _number(
    body: Mapping[str, Any], field: str, default: Any, *, low: float | None, high: float | None, whole: bool = False
) -> Any:
    value = body.get(field)
    if value is None:
        return default
    right = type(value) is int or (type(value) is float and not whole and value == value)
    if not right or (low is not None and value < low) or (high is not None and value > high):
        bounds = [f"at least {low}" if low is not None else "", f"at most {high}" if high is not None else ""]
        says = " and ".join(filter(None, bounds))
        kind = "a whole number" if whole else "a number"
        raise ApiError(400, f"'{field}' must be {kind}{' of ' + says if says else ''}", param=field)
    return value


def _unicode(text: str, where: str) -> str:
    """JSON can spell half of a surrogate pair, which is no character and has no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ApiError(400, f"{where} holds half of a surrogate pair", param=where) from None
    return text


def _temperature(value: float) -> float:
    """Below a ten-thousandth, sampling is greedy in all but name, and dividing by it would overflow."""
    return float(value) if value >= 1e-4 else 0.0


def _above_zero(value: float) -> float:
    if value <= 0:
        raise ApiError(400, "'top_p' must be above 0 and at most 1", param="top_p")
    return float(value)


def _flag(body: Mapping[str, Any], field: str) -> bool:
    value = body.get(field)
    if value not in (None, True, False) or (isinstance(value, int) and not isinstance(value, bool)):
        raise ApiError(400, f"'{field}' must be true or false", param=field)
    return bool(value)


def _stops(value: Any) -> tuple[str, ...]:
    stops: Sequence[Any] = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > MAX_STOPS or not all(isinstance(s, str) and s for s in stops):
        raise ApiError(400, f"'stop' must be a non-empty string or a list of at most {MAX_STOPS}", param="stop")
    return tuple(stops)
