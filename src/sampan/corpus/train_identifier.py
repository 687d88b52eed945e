"""lang.train_identifier: a small model that names the language of a text, from labelled documents."""

from __future__ import annotations

from dataclasses import field

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.profile import profiles_digest


@params
class Params:
    languages: list[str] = field(default_factory=list)
    """Labels that get a class of their own; other labels are pooled into `other_classes`. Empty: every label of the
    documents gets its own."""
    script: str = "Latn"
    """ISO 15924 code of the script that the model answers for. Documents in another script are left out."""
    licenses: list[str] = field(default_factory=list)
    """Use only documents whose licence is exactly one of these; empty allows every licence. What was left out is
    counted by licence in `identifier.json`."""
    longest: int = 6
    """Most letters of an n-gram."""
    bits: int = 16
    """The table has 2**bits rows; n-grams share rows by hash."""
    other_classes: int = 12
    """Classes for the pooled labels; like goes with like, by their n-grams."""
    max_characters_per_language: int = 1_000_000
    """Text used of each own label, shared evenly among its sources, so that no source decides what the language is."""
    max_characters_per_other: int = 60_000
    """The same for each pooled label."""
    held_out_share: float = 0.1
    """Share of documents kept for the test, by id, so that translations of one text stay on one side."""
    max_held_out_characters: int = 2_000_000
    """Text of each label that the test reads, shared evenly among its sources."""
    word_rounds: int = 3000
    """Pieces made of the marker and stop words in the language profiles, for each own label that has a profile."""
    mixed_share: float = 1.0
    """Pieces of a small sister language that are used a second time with a run of the largest sister's words in them,
    as a share of its pieces."""
    name_dropout: float = 0.5
    """Share of capitalised words left out of the training pieces: names say where a text is from, not its language."""
    epochs: int = 3
    """Passes over the pieces."""
    lr: float = 0.02
    """Adam's learning rate, falling linearly to 0."""
    l2: float = 0.0
    """Weight of the squared weights in the loss. On the shared text every value above 0 was worse."""
    batch_size: int = 256
    """Pieces a step."""
    balance: float = 0.8
    """Classes are weighted by (most pieces / own pieces) to this power."""
    label_weights: dict[str, float] = field(default_factory=dict)
    """Weight of single labels beside that: more makes a language found more often, at its sisters' cost."""
    other_weight: float = 0.2
    """Weight of the pooled classes beside that: their text is a few formal pages a language."""
    seed: int = 0
    """Cuts, dropout and order."""


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .identifier_training import train

    return train(params, inputs.many("documents"), runtime)


def estimate(params: Params, inputs) -> dict:
    size = sum(fact.get("text_bytes", 0) for fact in inputs.get("documents", []))
    return {"seconds": 20 + 8e-6 * size * params.epochs, "disk_bytes": 30 * 2**params.bits, "memory_bytes": 2e9}


def reads(params: Params) -> dict:
    """The language profiles, whose words are training text."""
    return {"language profiles": profiles_digest()}


STAGE = Stage(
    name="lang.train_identifier",
    revision=2,
    summary="Train a language identifier on labelled documents; held-out recall and confusions are in its card.",
    params=Params,
    inputs={"documents": Role(kinds=("documents",), help="documents with a language each", many=True)},
    output="scorer",
    run=run,
    estimate=estimate,
    reads=reads,
    heavy=True,
    paper="Multinomial logistic regression on hashed character n-grams, as fastText's identifiers (Joulin et al. 2017) "
    "without the hidden layer. Ours: the sister languages of the region are lost in models of 176 languages.",
)
