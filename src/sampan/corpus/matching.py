"""What counts as the same text: the parameters of the stages that look for evaluation items."""

from __future__ import annotations

from dataclasses import field

from ..core.params import params


@params
class Matching:
    """Parameters of `item_index`."""

    fields: list[str] = field(default_factory=list)
    """Columns of items from outside that hold their texts, such as `question` or `prompts.0.text` (`*` is every
    place); empty takes every text of a row. Items of Sampan are read whole: prompt, and choices or answer."""
    word_ngram: int = 13
    """Words that an item and a document must have in common, in the same order (GPT-3, Llama). A shorter text of an
    item must be there as a whole. In scripts without spaces this is scaled to clusters: 39 in Thai, Lao and Khmer, 26
    in Burmese, 21 in Chinese (measured on parallel text)."""
    min_overlap: float = 0.0
    """Least share of a text's n-grams that must be in the document; 0 makes a single one enough."""
    edited_share: float | None = 0.75
    """Share of a text that runs of 4 words in one passage of a document must cover, from which it counts as found
    although words were changed; null looks for unchanged text only. Ours; PaLM: 70 % of 8-grams."""
    min_words: int = 10
    """A text of fewer words proves little by itself, as names and phrases are as long. One of at least half as many
    counts where it is a line of its own; any, where all of an item's are near each other and have so many words
    together. Scaled as `word_ngram` is."""

    def __post_init__(self) -> None:
        if self.word_ngram < 8 or self.min_words < 1 or not 0 <= self.min_overlap <= 1:
            raise ValueError("word_ngram is at least 8, min_words at least 1, and min_overlap is in 0..1")
