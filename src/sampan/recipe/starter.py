"""A recipe to start from: the whole lineage for given languages and a base model, with the choices to make marked."""

from __future__ import annotations

from collections.abc import Sequence

ENGLISH = "eng_Latn"

TEMPLATE = """\
# {name}: a model for {spoken}, from {base}.
#   sampan plan {name}.yaml --set inputs.text=DIR --set inputs.chat=FILE     what a run would do and cost
#   sampan run  {name}.yaml --set inputs.text=DIR --set inputs.chat=FILE     build it
# Every parameter that is not here has a default: `sampan do STAGE --help`, or docs/reference/stages.md.
recipe: {name}
languages: [{languages}]
inputs:
  base: "{base}"
  text: null  # a folder of JSONL, Parquet or text: columns `text` and `language` (with English, it is replayed)
  chat: null  # conversations: OpenAI messages, ShareGPT or Alpaca rows

stages:
  # -- text: read, clean, drop duplicates, hold some back -----------------------------------------------------
  raw: {{stage: crawl.table, from: {{files: text}}}}
  clean: {{stage: corpus.clean, from: {{documents: raw}}, with: {{languages: [{languages}]}}}}
  unique: {{stage: corpus.dedup, from: {{documents: clean}}}}
  train_text: {{stage: corpus.split, from: {{documents: unique}}, with: {{part: train, held_out_share: 0.01}}}}
  held_text: {{stage: corpus.split, from: {{documents: unique}}, with: {{part: held_out, held_out_share: 0.01}}}}

  # -- vocabulary: pieces for the new languages; English costs what it did, within 0.3 % ----------------------
  start: {{stage: model.import, from: {{files: base}}, with: {{chat_template: keep}}}}
  expanded:
    stage: vocab.expand
    from: {{base: start, documents: train_text}}
    with: {{num_new_tokens: 16384}}

  # -- continued pre-training, on languages in proportion to their tokens unless `mixture` says otherwise -----
  tokens: {{stage: corpus.pack, from: {{documents: train_text, tokenizer: expanded}}}}
  cpt:
    stage: train.causal_lm
    from: {{model: expanded, tokens: tokens}}
    with: {{lr: 1e-5, context_len: 4096, global_batch_tokens: 524288}}  # num_tokens: 0 takes every token once

  # -- supervised fine-tuning, then a merge against forgetting ------------------------------------------------
  chats: {{stage: crawl.chat, from: {{files: chat}}}}
  sft: {{stage: train.sft, from: {{model: cpt, conversations: chats}}, with: {{lr: 1e-5, context_len: 4096}}}}
  final:
    stage: merge.weights
    from: {{base: cpt, models: [sft]}}
    with: {{method: task_arithmetic, normalize: false, weights: [0.8]}}

  # -- scores after every step, and what is shipped -----------------------------------------------------------
  scores: {{stage: evals.run, from: {{models: [start, expanded, cpt, sft, final], held_out: held_text}}}}
  ship: {{stage: export.hf, from: {{model: final, scores: scores}}}}
"""


def starter(name: str, languages: Sequence[str], names: Sequence[str], base: str) -> str:
    """The recipe's text. `languages` are codes such as tha_Thai, `names` what people call them."""
    codes = list(dict.fromkeys([ENGLISH, *languages]))
    return TEMPLATE.format(name=name, languages=", ".join(codes), spoken=", ".join(names), base=base)
