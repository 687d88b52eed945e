"""Ways to fill the rows of new tokens, one file each: a pure function from an old matrix to the new rows."""

from ...core.registry import Registry

INITS = Registry(
    "initialisation",
    {
        "random": "sampan.vocab.init.random:INIT",
        "mean_all": "sampan.vocab.init.mean_all:INIT",
        "mean_subword": "sampan.vocab.init.mean_subword:INIT",
        "mean_subword_plain": "sampan.vocab.init.mean_subword_plain:INIT",
        "weighted_subword": "sampan.vocab.init.weighted_subword:INIT",
        "focus": "sampan.vocab.init.focus:INIT",
        "auxiliary": "sampan.vocab.init.auxiliary:INIT",
        "distill": "sampan.vocab.init.distill:INIT",
    },
    group="sampan.initialisations",
)
