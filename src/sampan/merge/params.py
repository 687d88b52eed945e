"""What a merge is told: `Params` of the stage `merge.weights`, with its slices and token sources."""

from __future__ import annotations

from typing import Literal

from ..core.errors import RecipeError, did_you_mean
from ..core.params import params
from .knobs import Setting
from .methods import METHODS, WITHOUT_NORMALIZE

HERE = "merge.weights"


@params
class Source:
    model: int | str
    """Which model: its place in `models` (0 is the first), its name, or `base`."""
    layers: list[int]
    """First layer and the layer after the last: [0, 16] are sixteen layers."""
    weight: Setting | None = None
    """Its weight in this slice, instead of the model's in `weights`."""
    density: Setting | None = None
    gamma: Setting | None = None


@params
class Slice:
    sources: list[Source]
    """The layers that are merged into these layers of the result, one source per model."""
    t: Setting | None = None
    lambda_: Setting | None = None
    epsilon: Setting | None = None


@params
class ModelToken:
    model: int | str
    """Which model: its place in `models`, its name, or `base`."""
    token: str | None = None
    """A token of that model."""
    id: int | None = None
    """Or a row of its embedding."""


@params
class TokenSource:
    source: ModelToken | int | str | None = None
    """Where models that lack the token take it: `zero`, a model (as in `slices`), or a model's token; left out, as
    `missing_tokens` says."""
    force: bool = False
    """Whether models that have the token take it there, too."""


@params
class Params:
    method: str
    """One of linear, slerp, nuslerp, karcher, task_arithmetic, ties, dare_linear, dare_ties, della, della_linear,
    breadcrumbs, breadcrumbs_ties, consensus_ta, consensus_ties, model_stock, sce, passthrough."""
    normalize: bool | None = None
    """Whether to divide by the sum of the (surviving) weights: a mean rather than a sum. Papers seldom say and sums of
    related models step far past both, so a strict merge must state it (methods that are means by nature, such as slerp,
    do not take it). None with `strict: false` means MergeKit's default: true for linear, ties, consensus_ties and
    della, false for the others."""
    weights: list[Setting] | None = None
    """One weight per model, in order; 1 each if left out. Here and below, wherever one number may stand for a model, so
    may a gradient over the layers ([0, 1]: rising from the first layer to the last) or rules by tensor name
    ([{filter: mlp, value: 0.5}, {value: 1}]), as in MergeKit."""
    density: float | list[Setting] = 1.0
    """Share of each task vector kept (ties, dare_*, della*, breadcrumbs*, consensus_ties; sce: of the elements that
    differ): one value, or one per model. 1 keeps everything and draws nothing at random. TIES' paper keeps 0.2."""
    gamma: float | list[Setting] = 0.01
    """breadcrumbs*: share of each task vector's largest magnitudes that is dropped where density is below 1."""
    epsilon: Setting = 0.15
    """DELLA's keep probability runs from density - epsilon to density + epsilon. MergeKit's epsilon, half the paper's;
    its default."""
    lambda_: Setting = 1.0
    """Scale of the merged task vector (λ in the papers); for consensus_* the factor of its mask's threshold."""
    k: int = 2
    """consensus_*: how many models must claim an element. The paper's 2; MergeKit's default was 1."""
    t: Setting = 0.5
    """slerp: how far to go from the first model (0) to the second (1)."""
    per_row: bool = False
    """nuslerp and model_stock: take angles row by row instead of over the whole tensor."""
    compat: Literal["none", "mergekit"] = "none"
    """`mergekit`: after random drops (dare_*, della*) rescale each task vector to its L1 norm before, as MergeKit does,
    instead of by the keep probability. For DELLA this over-weights by some 6 %; the default is unbiased."""
    seed: int = 0
    """Seed of the random drops (dare_*, della*)."""
    slices: list[Slice] | None = None
    """Build the layers from these slices of models' layers, in order (depth up-scaling, layers of several models).
    Embeddings come from the first slice's sources, the final norm and the head from the last's."""
    dtype: Literal["same", "float32", "bfloat16", "float16"] = "same"
    """What to store; `same` is each tensor's dtype in the base. The arithmetic is always in float32."""
    tokenizer: int | str = "base"
    """Whose vocabulary, config, tokenizer and chat template the result has: `base`, `first` (model), a model's name or
    place, or `union`: the base's tokens and, after them, those of the models that it lacks."""
    missing_tokens: Literal["error", "base_row", "mean", "zero"] = "error"
    """Where vocabularies differ, rows are matched by token, and a model that lacks a token takes: the base's row (where
    the base lacks it too, the mean of those that have it; MergeKit's rule), the mean of those that have it, or zeros.
    `error` refuses vocabularies that do not have the same tokens. Ours."""
    tokens: dict[str, TokenSource] | None = None
    """Sources of single tokens' rows, by token."""
    pad_to_multiple_of: int = 1
    """Round the number of rows of the embedding up to this, with rows of zeros."""
    chat_template: str = "keep"
    """`keep` the tokenizer's; `auto`: the one that most of the models have; a name that `model.import` knows; or the
    Jinja text itself."""
    same_tokenizer: bool = True
    """Set to false to merge rows by number whatever the tokenizers say, where the differing tokens are unused."""
    strict: bool = True
    """Refuse a merge that does not state `normalize`."""
    shard_bytes: int = 5_000_000_000
    """Largest weights file; above it the model is written in several."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise RecipeError(
                f"there is no merge method '{self.method}'", where=HERE, how=did_you_mean(self.method, METHODS)
            )
        if self.method in WITHOUT_NORMALIZE:
            if self.normalize is not None:
                raise RecipeError(f"{self.method} has no normalize, but it was set", where=HERE, how="Remove it.")
        elif self.strict and self.normalize is None:
            raise RecipeError(
                "this merge does not say whether it normalizes",
                where=HERE,
                how="Add `normalize: true` (a mean of the models' changes) or `normalize: false` (their sum), or "
                "`strict: false` for MergeKit's default of this method.",
            )
        by_token = (
            self.tokenizer == "union" or self.tokens or self.missing_tokens != "error" or self.pad_to_multiple_of > 1
        )
        if by_token and not self.same_tokenizer:
            raise RecipeError(
                "`same_tokenizer: false` merges rows by number, so `tokenizer: union`, missing_tokens, tokens and "
                "pad_to_multiple_of have no place beside it",
                where=HERE,
            )
        if min(self.shard_bytes, self.k, self.pad_to_multiple_of) < 1 or self.weights == [] or self.slices == []:
            raise RecipeError(
                "shard_bytes, k and pad_to_multiple_of must be at least 1, and weights and slices not empty lists",
                where=HERE,
            )
