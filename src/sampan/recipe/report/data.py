"""What the report shows, as plain values: the contract between whoever knows the lineage and the page.

`render` reads nothing but a ReportData, so equal data give an equal page. Every field but a name may be left empty;
a section without data is left out or says so in one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...artifacts.findings import Findings
from ...artifacts.item_values import Asked, ItemValues
from ...artifacts.profile_table import ProfileTable
from ...artifacts.scores import Score

STATUSES = ("hit", "run", "failed", "pending", "given")
"""hit: found in the store; run: built just now; failed; pending: not built; given: an input from outside."""
INPUT = "input"
"""The stage kind of an input from outside."""
ENGLISH = "eng_Latn"


@dataclass(frozen=True, kw_only=True)
class StageView:
    """One node of the lineage: a stage of the recipe, or an input from outside (`stage` = INPUT)."""

    name: str
    """What the recipe calls it; unique."""
    stage: str = INPUT
    """The stage kind, such as `train.causal_lm`; the part before the dot is the room."""
    kind: str = ""
    """Artifact kind (`core.stage.KINDS` or `external`)."""
    digest: str = ""
    key: str = ""
    status: str = "pending"
    """One of STATUSES."""
    reason: str = ""
    """Why it is pending or failed, in one sentence."""
    seconds: float | None = None
    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """{role: [names]}; a name that is no stage is an input from outside."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """The non-default params."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    licenses: Sequence[str] = ()
    code_version: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """Documents, conversations, preferences: the `summary.json` beside them."""
    train_log: Sequence[Mapping[str, Any]] = ()
    """Checkpoints: rows {"step", "tokens", "loss", "lr", other metric names}."""
    fertility: Mapping[str, Any] = field(default_factory=dict)
    """Tokenizers and checkpoints: {"rows": [{"language", "unit", "tokens_per_word_before", "tokens_per_word_after",
    "bytes_per_token_before", "bytes_per_token_after"}], "vocab_size_before", "vocab_size_after"}."""
    tokens: Mapping[str, Any] = field(default_factory=dict)
    """Token shards: their `index.json`."""
    judged: Mapping[str, Any] = field(default_factory=dict)
    """Scores of chat benchmarks: the `judged.json` beside them."""
    pictures: Mapping[str, str] = field(default_factory=dict)
    """What the stage drew of its measurement: {file name: SVG}."""

    @property
    def room(self) -> str:
        return self.stage.partition(".")[0]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one model answered to one prompt."""

    model: str
    language: str
    prompt: str
    output: str
    task: str = ""
    expected: str = ""
    judged: str = ""
    """What a judge said of it."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One item and one model's answer to it, with what was read out of it and what each metric said."""

    model: str
    language: str
    task: str
    id: str
    prompt: str
    output: str
    extracted: str = ""
    expected: str = ""
    verdict: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """empty, right, wrong or partly by the first metric that gave a number; unmarked without one."""
        if not self.output.strip():
            return "empty"
        value = next((v for v in self.verdict.values() if isinstance(v, int | float)), None)
        return "unmarked" if value is None else "right" if value >= 1 else "partly" if value > 0 else "wrong"


@dataclass(frozen=True, kw_only=True)
class VariantView:
    """A variant of the recipe: stages that stand in the lineage once more, with a change."""

    name: str
    about: str = ""
    stages: Mapping[str, str] = field(default_factory=dict)
    """{the recipe's stage: its copy}."""
    changed: Sequence[str] = ()
    """The recipe's stages that the variant itself changes."""
    replaced: Mapping[str, str] = field(default_factory=dict)
    """{a stage that is left out: what is read instead}."""

    @property
    def change(self) -> str:
        """What it does to the recipe, in a few words."""
        left_out = [f"{stage} left out ({other} instead)" for stage, other in self.replaced.items()]
        return ", ".join([*self.changed, *left_out])


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything on the page."""

    recipe: str
    languages: Sequence[str] = ()
    """Codes such as `tha_Thai`, in the order to show."""
    language_names: Mapping[str, str] = field(default_factory=dict)
    """{code: name to show}; a code without a name is shown as it is."""
    english: str = ENGLISH
    """The language that is guarded rather than taught: left out of the region's mean and shown beside it."""
    stages: Sequence[StageView] = ()
    """In recipe order; `scores` and `samples` name them."""
    scores: Sequence[Score] = ()
    """`Score.model` is the name of a stage (or of an input from outside)."""
    asked: Sequence[Asked] = ()
    """The items behind the scores, where they are kept."""
    item_values: Sequence[ItemValues] = ()
    """What each item gave each model."""
    profiles: Sequence[ProfileTable] = ()
    """Totals of published suites; their rows are among the scores too."""
    samples: Sequence[Sample] = ()
    records: Sequence[Record] = ()
    """Single items for reading."""
    records_left: int = 0
    """Kept items that are not on the page."""
    findings: Sequence[Findings] = ()
    """What `corpus.find_items` found."""
    variants: Sequence[VariantView] = ()
    first_model: str = ""
    """The model to measure from; '' for the first scored one in lineage order."""
    last_model: str = ""
    """The model to measure to; '' for the last scored one in lineage order that is the recipe's own."""
    versions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """{package: versions that built the artifacts}; more than one if the lineage was built over time."""
    recipe_file: str = ""
    recipe_digest: str = ""
    recipe_text: str = ""
    """The resolved recipe (its lock), printed in the last section."""
    commands: Sequence[str] = ()
    """Commands that build it again; () for the usual three."""

    @property
    def copies(self) -> set[str]:
        """Names of the stages that are variants' own."""
        return {copy for variant in self.variants for copy in variant.stages.values()}

    def name_of(self, language: str) -> str:
        """The name to show for a language code."""
        return self.language_names.get(language) or language or "unknown"


def completed(data: ReportData) -> ReportData:
    """The same data in lineage order (inputs first), with a node for every input that is no stage.

    Raises ValueError if two stages share a name or the lineage has a cycle.
    """
    known = {stage.name for stage in data.stages}
    if len(known) != len(data.stages):
        raise ValueError("two stages share a name")
    outside = dict.fromkeys(name for stage in data.stages for name in input_names(stage) if name not in known)
    given = [StageView(name=name, kind="external", status="given") for name in outside]
    return replace(data, stages=tuple(lineage_order([*given, *data.stages])))


def input_names(stage: StageView) -> list[str]:
    """Names a stage reads, each once, in role order."""
    return list(dict.fromkeys(name for names in stage.inputs.values() for name in names))


def lineage_order(stages: Iterable[StageView]) -> list[StageView]:
    """Every stage after what it reads, otherwise in the order given."""
    waiting, done, out = list(stages), set(), []
    names = {stage.name for stage in waiting}
    while waiting:
        ready = next((s for s in waiting if all(n in done or n not in names for n in input_names(s))), None)
        if ready is None:
            raise ValueError(f"the lineage goes in a circle through {', '.join(s.name for s in waiting)}")
        waiting.remove(ready)
        done.add(ready.name)
        out.append(ready)
    return out
