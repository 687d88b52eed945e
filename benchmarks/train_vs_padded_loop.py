"""Short documents through our packed step and through the loop that people write by hand: a transformers model on
padded batches. Same model, documents, optimiser and thread; the two take turns, and their losses must agree.

    python benchmarks/train_vs_padded_loop.py [--out benchmarks/results/train_vs_padded_loop.json]
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from result import conclude
from transformers import LlamaConfig, LlamaForCausalLM

from sampan.train.attention import use_packed_attention
from sampan.train.logprobs import token_logprobs
from sampan.train.packing import Piece, pack, split

BAR = 1.5
"""On documents of 20 to 250 tokens, padding alone wastes about half of the peer's slots."""
STEPS, WARM, DOCUMENTS, MICRO_TOKENS, VOCAB = 12, 3, 24, 2048, 4096
SAME_LOSS = 1e-4  # float32 sums over some thousand tokens in another order


def documents(step: int) -> list[np.ndarray]:
    """The documents of one step: log-normal lengths around 80 tokens, ids at random."""
    draw = random.Random(step)
    lengths = [min(250, max(20, round(draw.lognormvariate(4.3, 0.7)))) for _ in range(DOCUMENTS)]
    return [np.asarray([draw.randrange(VOCAB) for _ in range(n)]) for n in lengths]


def new_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    shape = {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 688}
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCAB, max_position_embeddings=512, **shape))


def finish(model, optimiser) -> None:
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def ours(model, optimiser, docs) -> float:
    pieces = [Piece(doc, np.append(doc[1:], -100)) for doc in docs]
    count, total = sum(len(doc) - 1 for doc in docs), 0.0
    for part in split(pieces, MICRO_TOKENS):
        loss = -token_logprobs(model, pack(part), dtype=torch.float32, uniform=True).sum() / count
        loss.backward()
        total += float(loss.detach())
    finish(model, optimiser)
    return total


def padded(model, optimiser, docs) -> float:
    width = max(map(len, docs))
    rows = max(1, MICRO_TOKENS // width)
    count, total = sum(len(doc) - 1 for doc in docs), 0.0
    for start in range(0, len(docs), rows):
        part = docs[start : start + rows]
        ids_BT = torch.zeros(len(part), width, dtype=torch.long)
        labels_BT = torch.full((len(part), width), -100)
        mask_BT = torch.zeros(len(part), width, dtype=torch.long)
        for b, doc in enumerate(part):
            ids_BT[b, : len(doc)] = labels_BT[b, : len(doc)] = torch.from_numpy(doc)
            mask_BT[b, : len(doc)] = 1
        out = model(
            input_ids=ids_BT, attention_mask=mask_BT, labels=labels_BT, num_items_in_batch=count, use_cache=False
        )
        out.loss.backward()
        total += float(out.loss.detach())
    finish(model, optimiser)
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sides = {}
    for name, step in (("ours", ours), ("peer", padded)):
        model = new_model()
        if name == "ours":
            use_packed_attention(model)
        sides[name] = (step, model, torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True))
    rates = {"ours": [], "peer": []}
    for number in range(STEPS + WARM):
        docs, losses = documents(number), {}
        for name, (step, model, optimiser) in sides.items():
            clock = time.process_time()
            losses[name] = step(model, optimiser, docs)
            if number >= WARM:
                rates[name].append(sum(map(len, docs)) / (time.process_time() - clock))
        if abs(losses["ours"] - losses["peer"]) > SAME_LOSS:
            print(f"step {number}: losses differ, {losses}", file=sys.stderr)
            return 2
    result = {name: round(median(values), 1) for name, values in rates.items()}
    ratio = round(result["ours"] / result["peer"], 2)
    line = {
        "claim": "training on short documents, tokens per CPU-second of one thread",
        "ours": result["ours"],
        "peer": result["peer"],
        "peer_is": "transformers model, padded batches, hand-written loop",
        "ratio": ratio,
        "bar": BAR,
        "ok": ratio >= BAR,
    }
    return conclude(line, options.out, packages=("torch", "transformers"))


if __name__ == "__main__":
    sys.exit(main())
