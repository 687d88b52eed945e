"""How strongly each neuron works on each document, and which of them work for one language only (arXiv:2402.18815 §2).

A feed-forward neuron is as strong as the sum over tokens of its up-projection's absolute value; a dimension of the
values, as that of the attention's output; a dimension of queries or keys, as the squared change of the attention matrix
when it is left out (here after the rotation of positions, and per head).

Shapes: H heads, K key-value heads, T tokens, D head width, W width of a matrix's output.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch

from ..artifacts.neurons import Neurons, write_neurons
from ..artifacts.tokens import read_tokens
from ..core.errors import StageError, did_you_mean
from ..core.stage import Inputs, Runtime
from ..model.checkpoint import count_parameters, load_model
from .checks import check_context, check_vocabulary

_NAME = "sampan_neurons"
_ATTENTION = ("q_proj", "k_proj", "v_proj")
_DIMENSIONS_AT_ONCE = 8

Strengths = dict[str, torch.Tensor]
"""By the name of a matrix's parameter, the strength [W] of each of its rows on one document."""


def find(params: Any, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Write the neurons of params.language; StageError if it, or every other language, has no documents."""
    torch.set_num_threads(runtime.threads)
    source = inputs.one("model")
    model = load_model(source.path, device=runtime.device)
    check_context(model, params.context_len)
    for artifact in inputs.many("tokens"):
        check_vocabulary(model, source, artifact, read_tokens(artifact))
    documents = _documents(params, inputs)
    if params.language not in documents or len(documents) < 2:
        raise StageError(
            f"the tokens have {', '.join(sorted(documents)) or 'no documents'}",
            where="language",
            how=did_you_mean(params.language, documents)
            if params.language not in documents
            else "Add documents of other languages: neurons that work for those too are left out.",
        )
    probe = Probe(model, attention=params.attention_share > 0)
    total, done, active, strength = sum(map(len, documents.values())), 0, {}, {}
    for language, texts in documents.items():
        counts: Strengths = {}
        sums: Strengths = {}
        for ids in texts:
            for name, strength_W in probe.strengths(ids).items():
                share = params.ffn_share if "up_proj" in name else params.attention_share
                top = strength_W.topk(round(share * len(strength_W))).indices
                counts.setdefault(name, torch.zeros(len(strength_W)))[top] += 1
                sums[name] = sums.get(name, 0) + strength_W / strength_W.sum().clamp(min=1e-30)
            done += 1
            runtime.progress(done, total, "documents")
        active[language] = {name: count >= params.present_in * len(texts) for name, count in counts.items()}
        strength[language] = sums
    rows = {}
    for name, own_W in active[params.language].items():
        for language, others in active.items():
            if language != params.language:
                own_W = own_W & ~others[name]
        order = strength[params.language][name].argsort(descending=True, stable=True)
        chosen = order[own_W[order]][: params.max_per_matrix]
        if len(chosen):
            rows[name] = sorted(chosen.tolist())
    return _report(model, params.language, rows, documents, runtime)


def _report(model: Any, language: str, rows: dict[str, list[int]], documents: Any, runtime: Runtime) -> dict[str, Any]:
    columns = {name.replace("up_proj", "down_proj"): found for name, found in rows.items() if "up_proj" in name}
    write_neurons(runtime.out, Neurons(language, rows, columns))
    sizes = dict(model.named_parameters())
    held = sum(len(found) * sizes[name].shape[1] for name, found in rows.items())
    held += sum(len(found) * sizes[name].shape[0] for name, found in columns.items())
    if not held:
        raise StageError(f"no neuron works for {language} only", how="Raise ffn_share, or lower present_in below 1.")
    count = sum(map(len, rows.values()))
    share = held / count_parameters(model)
    return {
        "neurons": count,
        "neuron_parameters": held,
        "share": round(share, 6),
        "documents_read": {name: len(texts) for name, texts in documents.items()},
        "text": f"{count:,} neurons work for {language} only: {share:.3%} of the model's parameters",
    }


def _documents(params: Any, inputs: Inputs) -> dict[str, list[list[int]]]:
    """The first documents of every language, cut to the context."""
    found: dict[str, list[list[int]]] = defaultdict(list)
    for artifact in inputs.many("tokens"):
        shards = read_tokens(artifact)
        for number in range(len(shards)):
            language = shards.stream_names[shards.streams[number]].partition("/")[0]
            if len(found[language]) < params.num_documents:
                ids = shards.document(number)[0][: params.context_len].tolist()
                if len(ids) > 1:
                    found[language].append(ids)
    return {language: texts for language, texts in found.items() if texts}


class Probe:
    """Runs a model on documents and measures its neurons."""

    def __init__(self, model: Any, *, attention: bool) -> None:
        from transformers import AttentionInterface

        self._model, self._found = model, {}
        names = {module: name for name, module in model.named_modules()}
        ups = [(name, module) for module, name in names.items() if name.endswith("mlp.up_proj")]
        if not ups:
            kind = model.config.model_type
            raise StageError(f"{kind} models name their feed-forward layers otherwise than mlp.up_proj")
        for name, module in ups:
            module.register_forward_hook(self._note(f"{name}.weight"))
        if attention:
            self._names = names
            AttentionInterface.register(_NAME, self._attend)
            model.set_attn_implementation(_NAME)
        else:
            model.set_attn_implementation("sdpa")

    def strengths(self, ids: list[int]) -> Strengths:
        """Of every neuron on one document."""
        self._found = {}
        with torch.inference_mode():
            self._model.base_model(input_ids=torch.tensor([ids], device=self._model.device), use_cache=False)
        return {name: strength.float().cpu() for name, strength in self._found.items()}

    def _note(self, name: str) -> Any:
        def hook(module: Any, args: Any, out_1TW: torch.Tensor) -> None:
            self._found[name] = out_1TW[0].abs().sum(0)

        return hook

    def _attend(self, module, query, key, value, attention_mask=None, *, scaling=None, softcap=None, **more):
        query_HTD, key_KTD, value_KTD = query[0], key[0], value[0]
        repeats = len(query_HTD) // len(key_KTD)
        key_HTD, value_HTD = (x.repeat_interleave(repeats, 0) for x in (key_KTD, value_KTD))
        scale = query_HTD.shape[-1] ** -0.5 if scaling is None else scaling
        places = torch.arange(query_HTD.shape[1], device=query.device)
        away = places[:, None] - places[None, :]
        window = more.get("sliding_window")
        allowed = away >= 0 if not window else (away >= 0) & (away < window)

        def matrix(scores: torch.Tensor) -> torch.Tensor:
            capped = torch.tanh(scores / softcap) * softcap if softcap else scores
            return capped.masked_fill(~allowed, float("-inf")).softmax(-1)

        scores_HTT = query_HTD @ key_HTD.transpose(1, 2) * scale
        weights_HTT = matrix(scores_HTT)
        out_HTD = weights_HTT @ value_HTD
        change_HD = torch.stack(
            [
                torch.cat(
                    [
                        _change(query_HTD[h], key_HTD[h], scores_HTT[h], weights_HTT[h], scale, matrix, span)
                        for span in _spans(query_HTD.shape[-1])
                    ]
                )
                for h in range(len(query_HTD))
            ]
        )
        name = self._names[module]
        self._found[f"{name}.q_proj.weight"] = change_HD.flatten()
        self._found[f"{name}.k_proj.weight"] = change_HD.view(len(key_KTD), repeats, -1).sum(1).flatten()
        used_HD = out_HTD.abs().sum(1)
        self._found[f"{name}.v_proj.weight"] = used_HD.view(len(key_KTD), repeats, -1).sum(1).flatten()
        return out_HTD.transpose(0, 1)[None], None


def _spans(width: int) -> Iterator[slice]:
    return (slice(start, start + _DIMENSIONS_AT_ONCE) for start in range(0, width, _DIMENSIONS_AT_ONCE))


def _change(query_TD, key_TD, scores_TT, weights_TT, scale, matrix, span) -> torch.Tensor:
    """Squared change of one head's attention matrix when each dimension of `span` is left out."""
    part = torch.einsum("td,sd->dts", query_TD[:, span], key_TD[:, span]) * scale
    return (matrix(scores_TT - part) - weights_TT).square().sum((1, 2))
