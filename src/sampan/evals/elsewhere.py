"""Models that answer behind an OpenAI-compatible endpoint: the parameters that every stage which asks them has."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from ..core.params import params

if TYPE_CHECKING:
    from ..model.endpoint import Endpoint


@params
class Elsewhere:
    """Who answers where, and how patiently they are asked."""

    answer_models: list[str] = field(default_factory=list)
    """More models, which answer behind an OpenAI-compatible endpoint, by what they are called there."""
    answer_url: str = ""
    """The endpoint of `answer_models`, such as http://127.0.0.1:8000/v1."""
    answer_key_variable: str = ""
    """Environment variable that holds that endpoint's key; '' for none. The key itself is written nowhere."""
    answer_options: dict[str, Any] = field(default_factory=dict)
    """More fields of the request for an answer, such as `max_completion_tokens` (which replaces max_tokens); null
    leaves a field out."""
    concurrency: int = 4
    """Requests to an endpoint at once."""
    requests_per_minute: float = 0.0
    """Most requests a minute; 0 = as fast as it answers."""
    timeout_seconds: float = 120.0
    """Longest wait for one answer of an endpoint."""
    request_tries: int = 5
    """How often a request is sent while the endpoint is busy or away."""
    retry_seconds: float = 1.0
    """Wait after the first failure; it doubles each time, and is never shorter than what the server asks for."""
    prompt_price: float = 0.0
    """Price of a million tokens read there (in `evals.judge`, by the judge); 0 = not known, and no cost is told."""
    completion_price: float = 0.0
    """Price of a million tokens written there."""

    def __post_init__(self) -> None:
        for name in ("concurrency", "request_tries"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")
        for name in ("requests_per_minute", "retry_seconds", "prompt_price", "completion_price"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more")
        if self.timeout_seconds <= 0:
            raise ValueError("timeout_seconds must be above 0")
        if bool(self.answer_models) != bool(self.answer_url):
            raise ValueError("answer_models and answer_url go together")
        if len(set(self.answer_models)) < len(self.answer_models):
            raise ValueError("answer_models names a model twice")
        if {"messages", "prompt", "model", "stream", "n", "echo", "logprobs"} & self.answer_options.keys():
            raise ValueError("answer_options may not replace what is asked: messages, prompt, model, stream, n, echo")

    def endpoint(self, url: str, model: str, key_variable: str) -> Endpoint:
        """`model` at `url`, asked with this patience."""
        from ..model.endpoint import Endpoint

        return Endpoint(
            base_url=url,
            model=model,
            key_variable=key_variable,
            timeout_seconds=self.timeout_seconds,
            tries=self.request_tries,
            retry_seconds=self.retry_seconds,
            requests_per_minute=self.requests_per_minute,
            concurrency=self.concurrency,
        )

    def answering(self, model: str) -> Endpoint:
        """One of `answer_models`."""
        return self.endpoint(self.answer_url, model, self.answer_key_variable)
