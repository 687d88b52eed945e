"""Norms, gated layers, rotations and attention that use less memory traffic compute what transformers' own do."""

from __future__ import annotations

import pytest
import torch

from sampan.train import lean, piece_attention
from sampan.train.attention import packed_attention, use_packed_attention
from sampan.train.packing import Layout

KINDS = [f"{name}Config" for name in ("Llama", "Mistral", "Qwen2", "Qwen3", "Gemma", "Gemma2", "Gemma3Text")]
TOLERANCE = 1e-5
"""Relative; float32 rounds at 1e-7, and sums over a few hundred numbers in another order differ by some times that."""


def make_model(kind: str):
    import transformers

    config = getattr(transformers, kind)(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:  # so that a weight that is left out is seen
                parameter.add_(torch.rand_like(parameter))
    return model


def outcome(model, ids) -> list[torch.Tensor]:
    """Logits and every gradient."""
    model.zero_grad()
    logits = model(input_ids=ids, use_cache=False).logits
    (logits.float().log_softmax(-1)[..., 0].sum()).backward()
    return [logits.detach(), *(p.grad.clone() for p in model.parameters())]


def apart(some: list[torch.Tensor], others: list[torch.Tensor]) -> float:
    """The largest difference of two tensors, as a share of the larger one's greatest number."""
    pairs = [(a.detach(), b.detach()) for a, b in zip(some, others, strict=True)]
    return max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-3)) for a, b in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_lean_parts_compute_the_same(kind, monkeypatch):
    monkeypatch.setattr(lean, "_CACHED", 600)  # several passes, the last of them shorter
    monkeypatch.setattr(lean, "_LEAST", 10)
    model, ids = make_model(kind), torch.randint(97, (2, 23))
    plain = outcome(model, ids)
    found = lean.use_lean_parts(model)
    for part in ("input_layernorm", "mlp", "self_attn"):
        assert any(name.endswith(f"layers.1.{part}") for name in found)
    assert apart(outcome(model, ids), plain) <= TOLERANCE


def test_lean_parts_are_what_runs(monkeypatch):
    model = make_model("LlamaConfig")
    lean.use_lean_parts(model)
    used = []
    for name in ("_Norm", "_Gated", "_Rotation"):
        part = getattr(lean, name)
        monkeypatch.setattr(lean, name, type(name, (part,), {"apply": _noting(part, used)}))
    outcome(model, torch.randint(97, (1, 9)))
    assert sorted(set(used)) == ["_Gated", "_Norm", "_Rotation"]


def _noting(part, used):
    def apply(*args):
        used.append(part.__name__)
        return part.apply(*args)

    return staticmethod(apply)


def test_frozen_weights_get_no_gradient_and_the_rest_the_same():
    model, ids = make_model("LlamaConfig"), torch.randint(97, (1, 9))
    plain = outcome(model, ids)
    lean.use_lean_parts(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("up_proj" in name or "q_proj" in name)
    model.zero_grad()
    model(input_ids=ids, use_cache=False).logits.float().log_softmax(-1)[..., 0].sum().backward()
    for parameter, grad in zip(model.parameters(), plain[1:], strict=True):
        assert (parameter.grad is None) != parameter.requires_grad
        assert parameter.grad is None or apart([parameter.grad], [grad]) <= TOLERANCE


def test_plain_parts_are_the_model_as_it_was():
    model, ids = make_model("LlamaConfig"), torch.randint(97, (1, 9))
    plain = outcome(model, ids)
    lean.use_lean_parts(model)
    lean.use_plain_parts(model)
    assert all(torch.equal(a, b) for a, b in zip(outcome(model, ids), plain, strict=True))


def test_what_is_put_between_the_layers_is_not_passed_by():
    model, ids = make_model("LlamaConfig"), torch.randint(97, (1, 9))
    lean.use_lean_parts(model)
    seen = []
    model.model.layers[0].mlp.up_proj.register_forward_hook(lambda *_: seen.append(1))
    outcome(model, ids)
    assert seen


def test_another_norm_or_gate_keeps_its_own_code():
    class OddRMSNorm(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.eps = torch.nn.Parameter(torch.ones(8)), 1e-6

        def forward(self, x):
            return self.weight * x * torch.rsqrt(x.abs().mean(-1, keepdim=True) + self.eps)

    class OddGate(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, shape in (("gate_proj", (8, 12)), ("up_proj", (8, 12)), ("down_proj", (12, 8))):
                self.add_module(name, torch.nn.Linear(*shape, bias=False))
            self.act_fn = torch.nn.SiLU()

        def forward(self, x):
            return self.down_proj(self.act_fn(self.gate_proj(x)) + self.up_proj(x))

    assert lean.use_lean_parts(torch.nn.Sequential(OddRMSNorm(), OddGate())) == []


@pytest.mark.parametrize("name", ["silu", "gelu_pytorch_tanh"])
def test_the_way_back_through_a_gate(name):
    from transformers.activations import ACT2FN

    activation = lean._activation(ACT2FN[name])
    assert (activation is torch.nn.functional.silu) == (name == "silu")
    gate, up, grad = torch.randn(3, 700, 300)  # two passes
    leaves = [x.clone().requires_grad_() for x in (gate, up)]
    product = activation(leaves[0]) * leaves[1]
    to_gate, to_up = torch.autograd.grad(product, leaves, grad)
    found = lean._through_gate(activation, gate, up, grad.clone())
    assert apart(found, [product, to_up, to_gate]) <= TOLERANCE


def test_bfloat16_is_left_to_transformers():
    model, ids = make_model("LlamaConfig").bfloat16(), torch.randint(97, (1, 9))
    plain = outcome(model, ids)
    lean.use_lean_parts(model)
    assert all(torch.equal(a, b) for a, b in zip(outcome(model, ids), plain, strict=True))


@pytest.fixture
def small_blocks(monkeypatch):
    """Pieces of 17 to 40 tokens are cut into blocks of at most 16 queries; the kernel takes the others."""
    piece_attention._blocks.cache_clear()
    monkeypatch.setattr(piece_attention, "_QUERIES", 16)
    monkeypatch.setattr(piece_attention, "_LONG", 40)
    yield
    piece_attention._blocks.cache_clear()


def test_blocks_are_whole_pieces_or_about_equal_parts(small_blocks):
    found = piece_attention._blocks((16, 33, 41), True)
    assert [(block.first, block.start, block.end) for block in found] == [
        (0, 0, 16),
        (16, 16, 27),
        (16, 27, 38),
        (16, 38, 49),
        (49, 49, 90),
    ]
    assert [block.mask_BB is None for block in found] == [True, False, False, False, True]
    assert [block.last for block in found] == [True, False, False, True, True]
    assert len(piece_attention._blocks((16, 33, 41), False)) == 3


@pytest.mark.parametrize("groups", [4, 2, 1])
def test_pieces_one_by_one_as_in_buckets(groups, monkeypatch, small_blocks):
    torch.manual_seed(0)
    layout = Layout([30, 7, 64, 19])
    shapes = [(1, heads, layout.tokens, 16) for heads in (4, groups, groups)]
    given = [torch.randn(shape, requires_grad=True) for shape in shapes]
    weight, found = torch.randn(1, layout.tokens, 4, 16), []
    for short in (1, 10**9):
        monkeypatch.setattr(piece_attention, "_SHORT", short)
        out, _ = packed_attention(None, *given, packing=layout, scaling=0.3)
        found.append([out.detach(), *torch.autograd.grad((out * weight).sum(), given)])
    assert apart(*found) <= TOLERANCE


def test_lean_and_packed_are_the_model_document_by_document():
    model = make_model("Qwen3Config")
    documents = [torch.randint(97, (length,)) for length in (50, 64, 55)]
    alone = torch.cat([model(input_ids=ids[None], use_cache=False).logits[0] for ids in documents])
    use_packed_attention(model)
    lean.use_lean_parts(model)
    layout = Layout([len(ids) for ids in documents])
    places = torch.cat([torch.arange(len(ids)) for ids in documents])
    ids = torch.cat(documents)
    packed = model(input_ids=ids[None], position_ids=places[None], packing=layout, use_cache=False).logits[0]
    assert apart([packed], [alone]) <= TOLERANCE
