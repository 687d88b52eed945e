"""corpus.mix: a corpus in the proportions that were asked for, in whole documents."""

from __future__ import annotations

from dataclasses import field
from fractions import Fraction
from typing import Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.profile import profiles_digest


@params
class Source:
    """A part of the documents, under a name that shares and groups can use. Every condition left empty holds."""

    name: str
    """What shares and groups call it."""
    inputs: tuple[int, ...] = ()
    """Numbers of the `documents` inputs, from 0."""
    languages: tuple[str, ...] = ()
    """Language codes."""
    sources: tuple[str, ...] = ()
    """Patterns of the documents' own `source`, such as `wiki*`."""
    max_epochs: float = 0
    """How often this source may be repeated; 0 = as often as the others."""


@params
class Group:
    """Sources and further groups that share what the group is given."""

    members: dict[str, float]
    """Weight of each member: a source, a group, a language, or `N/*` or `N/LANGUAGE`, N counting the inputs from 0."""
    alpha: float = 0
    """A member's part goes by weight · size^alpha: 0 = by weight alone, 1 = by size, 0.3 = mT5's temperature."""


@params
class Params:
    budget: float = 0
    """Tokens to make (UTF-8 bytes if there is no tokenizer), as one number; 0 = as many as the ratios allow without any
    source going over its limit."""
    shares: dict[str, float] = field(default_factory=dict)
    """Weight of each group, source or language in the whole; empty = every language the same, which with max_epochs is
    UniMax (arXiv:2304.09151)."""
    alpha: float = 0
    """As in a group: what `shares` divides goes by weight · size^alpha."""
    groups: dict[str, Group] = field(default_factory=dict)
    """Groups by name. Shares within a group are relative; limits push the rest to siblings first."""
    sources: tuple[Source, ...] = ()
    """Sources by name. A document belongs to the first that fits, else to its input and language."""
    max_epochs: float = 4
    """How often a source may be repeated. Four epochs are nearly as good as new text (arXiv:2305.16264)."""
    overflow: Literal["redistribute", "refuse"] = "redistribute"
    """Whether what a used-up source cannot give goes to its siblings, or is an error."""
    quality_shares: dict[str, float] = field(default_factory=dict)
    """Share of each quality bucket in every source that has them; empty = as they come."""
    upsample_head: bool = False
    """Move weight from the tail bucket to the head within every source: the fourth step of AI Singapore's cascade."""
    head: str = "high"
    """The `quality` of the best documents, as corpus.quality names it (CCNet: head)."""
    tail: str = "low"
    """The `quality` of the worst documents (CCNet: tail)."""
    salt: str = ""
    """Changes which documents are taken where a source is not used whole."""

    def __post_init__(self) -> None:
        if not self.budget >= 0:
            raise ValueError("budget must be 0 or more")
        if not self.max_epochs > 0 or any(not source.max_epochs >= 0 for source in self.sources):
            raise ValueError("max_epochs must be above 0")
        names = ["", *self.groups, *(source.name for source in self.sources)]
        if len(set(names)) < len(names):
            raise ValueError("every group and source needs a name of its own")
        if any(not weight >= 0 for weight in self.quality_shares.values()):
            raise ValueError("quality_shares must be 0 or more")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .mixing.realise import mix

    return mix(params, inputs, runtime)


def estimate(params: Params, inputs) -> dict:
    size = sum(fact.get("text_bytes", 0) for fact in inputs.get("documents", []))
    count = sum(fact.get("documents", 0) for fact in inputs.get("documents", []))
    counted = bool(inputs.get("tokenizer"))
    # About three and a half bytes a token over the region's languages.
    out = (params.budget * 3.5 if counted else params.budget) or size
    seconds = size / (1.5e6 if counted else 1.5e7) + (size + out) / 1e7
    return {
        **({"tokens": params.budget, "tokens_by_source": by_source(params)} if counted and params.budget else {}),
        "documents": count * out / size if size else 0,
        "text_bytes": out,
        "disk_bytes": out / 3,
        "seconds": seconds,
    }


def by_source(params: Params) -> dict[str, float]:
    """What `budget` gives to each source by the ratios alone, without sizes: no source used up, no alpha."""
    if params.alpha or any(group.alpha for group in params.groups.values()):
        return {}
    from .mixing.exact import whole
    from .mixing.tree import ROOT, Supply, Tree

    groups = {ROOT: Group(members=params.shares), **params.groups}
    members = [name for group in groups.values() for name in group.members if name not in groups]
    unlimited = Supply(1, Fraction(int(params.budget)))
    shares = Tree(groups, dict.fromkeys(members, unlimited)).shares()
    return whole({name: share * int(params.budget) for name, (_, share) in shares.items()}, int(params.budget))


def reads(params: Params) -> dict:
    """The language profiles, which say what the codes of shares mean."""
    return {"language profiles": profiles_digest()}


STAGE = Stage(
    name="corpus.mix",
    revision=2,
    summary="A corpus in given proportions: group ratios to budgets of sources, realised in whole documents.",
    params=Params,
    inputs={
        "documents": Role(kinds=("documents",), help="documents to choose from", many=True),
        "tokenizer": Role(
            kinds=("tokenizer", "checkpoint"), help="counts tokens; without it sizes are UTF-8 bytes", required=False
        ),
    },
    output="documents",
    run=run,
    estimate=estimate,
    reads=reads,
    paper="SEA-LION v3 (arXiv:2504.05747) §2.1; UniMax (arXiv:2304.09151); mT5's temperature (arXiv:2010.11934).",
)
