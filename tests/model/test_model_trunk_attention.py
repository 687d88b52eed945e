"""Attention to a trunk and to a row's own keys is attention to both side by side."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sampan.model import trunk_attention as module
from sampan.model.trunk_attention import as_mask, attend

# float32 sums over 30 keys in another order; the values are of size 1.
TOLERANCE = 1e-5


def plain(query, keys, values, sees, scale):
    """Attention by its definition, every head with its own keys: `sees` is [B, T, L]."""
    group = query.shape[1] // keys.shape[1]
    keys, values = (states.repeat_interleave(group, 1) for states in (keys, values))
    scores = (query @ keys.transpose(-1, -2) * scale).masked_fill(~sees[:, None], -torch.inf)
    return scores.softmax(-1) @ values


@pytest.mark.parametrize("on_cpu", [True, False], ids=["kernel that tells its sum", "as on other devices"])
@pytest.mark.parametrize("trunk_length", [0, 1, 13])
@pytest.mark.parametrize("tokens", [1, 6])
@pytest.mark.parametrize("masked", [True, False])
def test_two_parts_are_one_attention(monkeypatch, on_cpu, trunk_length, tokens, masked):
    if not on_cpu:
        monkeypatch.setattr(module, "_FLASH", None)
    torch.manual_seed(tokens + trunk_length)
    rows, heads, kv_heads, width, own = 3, 6, 2, 8, 9 if tokens == 1 else tokens
    query = torch.randn(rows, heads, tokens, width)
    keys, values = torch.randn(2, rows, kv_heads, own, width)
    trunk = list(torch.randn(2, 1, kv_heads, trunk_length, width)) if trunk_length else []
    lengths = torch.tensor([own, own - 3, own - 1]) if tokens == 1 and masked else torch.tensor([own] * 3)
    sees = (torch.arange(own) < lengths[:, None])[:, None].expand(rows, tokens, own)
    if tokens > 1:
        sees = torch.ones(tokens, own, dtype=torch.bool).tril().expand(rows, tokens, own)
        if masked:
            sees = sees & (torch.rand(rows, tokens, own) < 0.7) | torch.eye(tokens, dtype=torch.bool)
    mask = as_mask(sees[:, None], torch.float32) if masked else None
    got = attend(query, keys, values, trunk, mask, 0.3)
    far = [states.expand(rows, -1, -1, -1) for states in trunk] or [keys[:, :, :0], values[:, :, :0]]
    sees = F.pad(sees, (trunk_length, 0), value=True)
    want = plain(query, torch.cat([far[0], keys], 2), torch.cat([far[1], values], 2), sees, 0.3)
    assert torch.allclose(got, want, atol=TOLERANCE)


def test_rows_in_parts_are_rows_together():
    torch.manual_seed(0)
    query, keys, values = torch.randn(5, 4, 1, 8), torch.randn(5, 2, 7, 8), torch.randn(5, 2, 7, 8)
    trunk = list(torch.randn(2, 1, 2, 11, 8))
    lengths = torch.tensor([3, 5, 4, 7, 6])
    mask = as_mask((torch.arange(7) < lengths[:, None])[:, None, None], torch.float32)
    whole = attend(query, keys, values, trunk, mask, 0.3)
    assert torch.allclose(attend(query, keys, values, trunk, mask, 0.3, [(0, 3, 5), (3, 5, 7)]), whole, atol=TOLERANCE)
    assert not torch.allclose(attend(query, keys, values, trunk, mask, 0.3, [(0, 3, 3), (3, 5, 7)]), whole, atol=1e-3)


def test_a_model_keeps_the_attention_it_had(loaded):
    model, _ = loaded
    before = model.config._attn_implementation
    with module.trunk_attention(model, [], None):
        assert model.config._attn_implementation == module.NAME
    assert model.config._attn_implementation == before
    with pytest.raises(IndexError), module.trunk_attention(model, [], None):
        model(input_ids=torch.tensor([[1, 2]]))
    assert model.config._attn_implementation == before


def test_attention_with_more_than_keys_and_values_is_refused():
    """Gemma 2's capped scores and GPT-OSS's sinks are not known here; such models take the plain way."""
    with pytest.raises(ValueError, match="softcap"):
        module._attention(None, *torch.randn(3, 1, 2, 1, 8), softcap=30.0)
