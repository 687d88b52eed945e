"""The table of stage kinds. To add one, write `<room>/<stage>.py` with a STAGE and one line here."""

from __future__ import annotations

from ..core.registry import Registry

STAGES = Registry(
    "stage",
    {
        "crawl.table": "sampan.crawl.table:STAGE",
        "crawl.warc": "sampan.crawl.warc:STAGE",
        "crawl.chat": "sampan.crawl.chat:STAGE",
        "crawl.html": "sampan.crawl.html:STAGE",
        "crawl.mediawiki": "sampan.crawl.mediawiki:STAGE",
        "crawl.common_crawl": "sampan.crawl.common_crawl:STAGE",
        "corpus.village": "sampan.corpus.village.stage:STAGE",
        "corpus.clean": "sampan.corpus.clean:STAGE",
        "corpus.calibrate": "sampan.corpus.calibrate:STAGE",
        "corpus.dedup": "sampan.corpus.dedup:STAGE",
        "corpus.train_lm": "sampan.corpus.train_lm:STAGE",
        "corpus.train_quality": "sampan.corpus.train_quality:STAGE",
        "corpus.quality": "sampan.corpus.quality:STAGE",
        "corpus.decontaminate": "sampan.corpus.decontaminate:STAGE",
        "corpus.dedup_passages": "sampan.corpus.dedup_passages:STAGE",
        "corpus.split": "sampan.corpus.split:STAGE",
        "lang.train_identifier": "sampan.corpus.train_identifier:STAGE",
        "corpus.mix": "sampan.corpus.mix:STAGE",
        "corpus.pack": "sampan.corpus.pack:STAGE",
        "vocab.train": "sampan.vocab.train:STAGE",
        "vocab.import": "sampan.vocab.adopt:STAGE",
        "vocab.propose": "sampan.vocab.propose:STAGE",
        "vocab.expand": "sampan.vocab.expand:STAGE",
        "vocab.measure": "sampan.vocab.measure:STAGE",
        "vocab.budget_curve": "sampan.vocab.budget_curve:STAGE",
        "model.init": "sampan.model.init:STAGE",
        "model.import": "sampan.model.adopt:STAGE",
        "train.causal_lm": "sampan.train.causal_lm:STAGE",
        "train.mixture_search": "sampan.train.mixture_search:STAGE",
        "train.sft": "sampan.train.sft:STAGE",
        "train.preference": "sampan.train.preference:STAGE",
        "synth.self_preference": "sampan.synth.self_preference:STAGE",
        "merge.weights": "sampan.merge.weights:STAGE",
        "evals.run": "sampan.evals.run:STAGE",
        "evals.lm_eval": "sampan.evals.lm_eval:STAGE",
        "export.hf": "sampan.export.hf:STAGE",
        "export.gguf": "sampan.export.gguf:STAGE",
    },
    group="sampan.stages",
)
