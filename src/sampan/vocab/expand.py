"""`vocab.expand`: new pieces for new languages, by continued BPE; old ids, rows and kept text stay as they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from ..core.errors import InputError, StageError
from ..core.params import params
from ..core.stage import EXTERNAL, Inputs, Role, Runtime, Stage
from ..lang.codes import check_languages
from ..lang.profile import reads_own_profiles
from .selection import read_bytes


@params
class Params:
    num_new_tokens: int = 16_384
    """Pieces to add at most, over all languages. SeaLLM 7B v2 added 16 384 (SeaLLMs, arXiv:2312.00738)."""
    budgets: dict[str, int] = field(default_factory=dict)
    """Pieces per language, such as {tha_Thai: 1536}, for languages that are to have a number of their own. All others
    grow together in what is left: the next merge is the one that saves the largest share of a language's tokens. Ours,
    not the paper's (its budgets were chosen by hand)."""
    weights: dict[str, float] = field(default_factory=dict)
    """How much a language counts when languages grow together; 1 where none is given. Ours, not the paper's."""
    targets: dict[str, float] = field(default_factory=dict)
    """Tokens that a language is to cost at most, over those that the base makes of the same content in a kept language,
    such as {vie_Latn: 1.25}, counted on `translations`. A language behind its target counts for more until it is not,
    and the others for what is left; the summary says what was reached, and by which weights. Ours, not the paper's."""
    source_balance: float = 0.5
    """A source of a language counts by its size to this power (at most twice as much as it holds), so that a small
    source of another register is heard; 1 counts text as it is. Ours, not the paper's."""
    repeats: float = 0.7
    """A stretch of letters (a word; a phrase, where words are not set apart) that a source has n times counts n to this
    power, so that boilerplate does not drown the rest; 1 counts text as it is. Ours, not the paper's."""
    rounds: int = 3
    """Rounds in which the merges of whole clusters are learned, each on the text as the last one left it. Ours, not the
    paper's."""
    languages: tuple[str, ...] = ()
    """Languages to add; empty for all languages of the documents except `keep_languages`."""
    keep_languages: tuple[str, ...] = ("eng_Latn",)
    """Languages that the base knows already and whose documents must be cut as before, within `max_kept_change`."""
    max_kept_change: float = 0.003
    """Share by which the token count of a kept language may change, measured on its documents; 0: not one kept
    document's ids may change. SeaLLMs changed English by 0.3 % (arXiv:2312.00738, its compression table)."""
    scripts: tuple[str, ...] = ()
    """Scripts (ISO 15924) that may get pieces; empty for the scripts of the languages."""
    shared_script: Literal["auto", "verified", "distinct", "skip"] = "auto"
    """Languages written in a kept language's script (Vietnamese, Indonesian beside English): `verified` adds any piece,
    as long as the kept documents given stay within `max_kept_change`; `distinct` adds only pieces with a letter that
    the kept languages do not use, so kept text is provably unchanged; `skip` adds none. `auto`: `verified` if there
    are kept documents, else `distinct`. Ours, not the paper's."""
    min_frequency: int = 5
    """A pair whose weighted count is less is never merged; a piece that is used less often, no part of another and no
    character (see `character_coverage`) is taken out again. Ours, not the paper's (its m is unpublished)."""
    character_coverage: float = 0.9995
    """Share of each language's letters and signs that get a piece of their own each, the most frequent first, where the
    base spells them in bytes. SentencePiece's default (arXiv:1808.06226's software)."""
    max_piece_chars: int = 16
    """Longest new piece in characters, its leading blank not counted. Ours, not the paper's."""
    replace: int = 0
    """Tokens of the base that may be given away at most, those that the documents use least: new pieces get their ids
    and rows first, and the vocabulary grows by the rest only. Never bytes, special tokens, single characters or parts
    of a token that stays. Give documents of all that the model must go on doing. Ours, not the paper's."""
    learn_pieces: bool = True
    """Whether pieces are learned from the documents in what given `pieces` leave of the budget; if not, the documents
    only show what has changed."""
    pad_to_multiple: int = 128
    """The vocabulary ends at a multiple of this: the budget is rounded up to it, and if the text yields fewer pieces,
    reserved tokens <|reserved_N|> fill up. All SeaLLMs sizes are multiples of 128."""
    cut_graphemes: bool = False
    """Whether a new piece may end inside a cluster (a consonant with its vowels, marks and subscripts). A token of a
    base that reaches over a cluster's end itself (a Tamil sign and half of the next letter) does so in its pieces."""
    pretokenizer: Literal["repair", "keep"] = "repair"
    """Byte-level bases: whether the word expression is repaired so that it keeps vowel signs with their letters."""
    init: Literal[
        "random", "mean_all", "mean_subword", "mean_subword_plain", "weighted_subword", "focus", "auxiliary", "distill"
    ] = "mean_subword"
    """How new embedding rows are filled: see docs/why/initialisation.md. Ours, not the paper's."""
    init_tokens: int = 500_000
    """Tokens of the documents that `focus` reads, or that `distill` learns from, at most. Ours, not the paper's."""
    init_noise: float = 0.0
    """Noise added to new rows, as a share of the matrix's standard deviation. Ours, not the paper's."""
    seed: int = 0
    """Seed of random rows and noise."""
    max_documents: int = 20_000
    """Documents read at most per language, in order. Ours, not the paper's."""
    hold_out: int = 20
    """One document in this many of each source is not learned from but measured on, where it has so many; 0 learns from
    all and measures on the same, for languages of which there is little. Ours, not the paper's."""
    chat_template: str = "keep"
    """Name of a chat template to write beside the tokenizer; `keep` leaves what the base has."""

    def __post_init__(self) -> None:
        check_languages(self)
        if self.replace < 0:
            raise ValueError("replace must not be below 0")
        if self.num_new_tokens < 1 or self.min_frequency < 1 or self.max_piece_chars < 1 or self.pad_to_multiple < 1:
            raise ValueError("num_new_tokens, min_frequency, max_piece_chars and pad_to_multiple must be at least 1")
        if self.hold_out < 0 or self.hold_out == 1:
            raise ValueError("hold_out must be 0 or at least 2")
        if not 0 < self.repeats <= 1 or not 0 <= self.character_coverage <= 1:
            raise ValueError("repeats and character_coverage must be at most 1, and not below 0 (repeats: above it)")
        if self.rounds < 1 or not 0 <= self.source_balance <= 1 or not 0 <= self.max_kept_change < 1:
            raise ValueError("rounds must be at least 1, source_balance from 0 to 1, max_kept_change from 0 to below 1")
        if any(weight <= 0 for weight in [*self.weights.values(), *self.targets.values()]) or any(
            size < 0 for size in self.budgets.values()
        ):
            raise ValueError("weights and targets must be above 0 and budgets not below it")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from ..model.chat import write_template
    from .embeddings import embedding_rows
    from .growth import open_growth
    from .kept import read_kept, report
    from .plan import plan_languages, protected_texts, script_of
    from .proposals import read_proposals
    from .replacing import give_away, replaced
    from .runtimes import write_report
    from .selection import licenses_of, samples
    from .targets import read_targets

    base = _base_folder(inputs.one("base").path, runtime.state)
    rows = embedding_rows(base) if (base / "config.json").is_file() else 0
    found = samples(
        inputs.many("documents"),
        inputs.many("conversations"),
        runtime,
        keep_languages=params.keep_languages,
        max_documents=params.max_documents,
        hold_out=params.hold_out,
    )
    plans = plan_languages(params, found)
    given = list(read_proposals(inputs.many("pieces")))
    growth = open_growth(
        base,
        scripts=sorted({plan.guard.script for plan in plans} | {script_of(item.language) for item in given}),
        rows=rows,
        repair=params.pretokenizer == "repair",
    )
    _check_sizes(rows, growth.base_size, inputs.one("base").path)
    targets = read_targets(params, inputs.many("translations"), growth.original, runtime)
    kept = read_kept(growth, protected_texts(params, found))
    if params.replace:
        others = [text for sample in found.values() for text in sample.texts]
        give_away(growth, kept, others, min(params.replace, params.num_new_tokens), params.max_kept_change)
    facts = _grow_all(params, growth, plans, found, kept, given, targets, runtime)
    size = growth.pad(params.pad_to_multiple)
    after = growth.build()
    kept_rows = report(kept, after)
    _check(params, growth, after, found, kept_rows)
    growth.save(runtime.out, after)
    facts |= {"runtimes": write_report(growth, runtime.out)}
    if params.chat_template != "keep":
        write_template(runtime.out, params.chat_template)
    facts |= {"fertility": _fertility(runtime.out, growth, after, found, kept_rows)}
    if rows:
        facts |= _grow_rows(params, inputs, runtime, base, growth, after, found, rows)
    return {
        "vocab_size": size,
        "new_tokens": len(growth.pieces),
        "reserved_tokens": len(growth.reserved) + len(growth.fillers),
        "replaced_tokens": len(replaced(growth)),
        "kept": kept_rows,
        "licenses": licenses_of(found),
        **facts,
    }


def _check_sizes(rows: int, ids: int, where: Path) -> None:
    if rows and rows < ids:
        raise InputError(
            f"the model's embedding has {rows} rows, and its tokenizer {ids} ids",
            where=str(where),
            how="The tokenizer is another model's; give the one that it was trained with.",
        )


def _grow_rows(
    params: Params,
    inputs: Inputs,
    runtime: Runtime,
    base: Path,
    growth: Any,
    after: Any,
    found: Mapping[str, Any],
    rows: int,
) -> dict[str, Any]:
    """The model's weights with rows for the new tokens, as `init` says; returns facts."""
    from .embeddings import grow_checkpoint
    from .initialisation import Settings
    from .new_tokens import describe

    vectors = inputs.optional("vectors")
    new = describe(growth, after, found, base, rows=rows, vectors=vectors.path if vectors else None)
    settings = Settings(seed=params.seed, max_tokens=params.init_tokens, device=runtime.device)
    return grow_checkpoint(base, runtime.out, new, init=params.init, noise=params.init_noise, settings=settings)


def _base_folder(path: Path, state: Path) -> Path:
    """The base's folder with a tokenizer.json, converted first where there is only a bare tokenizer."""
    import shutil

    from .adopt import adopt

    if (path / "tokenizer.json").is_file():
        return path
    folder = state / "base"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    adopt(path, folder)
    if (path / "config.json").is_file():  # a model whose only tokenizer file is tokenizer.model
        for file in path.glob("*"):
            if file.suffix == ".safetensors" or file.name in ("model.safetensors.index.json", "generation_config.json"):
                (folder / file.name).symlink_to(file.resolve())
        shutil.copyfile(path / "config.json", folder / "config.json")
    return folder


def _grow_all(
    params: Params,
    growth: Any,
    plans: Sequence[Any],
    found: Mapping[str, Any],
    kept: Sequence[Any],
    given: Sequence[Any],
    targets: Sequence[Any],
    runtime: Runtime,
) -> dict[str, Any]:
    """Add given pieces, then grow group by group, each cut as the vocabulary stands by then; returns facts about the
    pieces."""
    from collections import Counter

    from .expansion import Grower
    from .joint import Limits
    from .plan import by_code, groups
    from .propose_apply import add_held
    from .targets import against_kept

    limits = Limits(
        min_frequency=params.min_frequency,
        max_chars=params.max_piece_chars,
        cut=params.cut_graphemes,
        rounds=params.rounds,
        coverage=params.character_coverage,
        weights=by_code(params.weights),
    )
    given_away = len(growth.given_away)
    total = growth.first_id + params.num_new_tokens - given_away
    if total > growth.first_id or not given_away:
        total = -(-total // params.pad_to_multiple) * params.pad_to_multiple
    changes = {"max_kept_change": params.max_kept_change, "balance": params.source_balance, "repeats": params.repeats}
    grower = Grower(growth, kept, limits, **changes, targets=targets)
    grower.settle()
    room = total - growth.first_id + given_away
    applied = add_held(growth, given, kept, budget=room, max_kept_change=params.max_kept_change)
    by_language = Counter(growth.language_of.values())
    waiting = groups(params, plans, room - len(growth.pieces)) if params.learn_pieces else []
    for number, (some, budget) in enumerate(waiting, 1):
        by_language.update(grower.grow(some, found, budget))
        runtime.progress(number, len(waiting), "groups of languages")
        runtime.log(f"{', '.join(plan.language for plan in some)}: {len(growth.pieces)} new pieces so far")
    for language in grower.silent:
        runtime.log(f"{language}: no text in its script")
    if not growth.pieces and not given:
        silent = f"no text in the script of {', '.join(grower.silent)}" if grower.silent else ""
        raise StageError(
            f"no new piece was found{': ' * bool(silent)}{silent}",
            how="Give more text in the new languages, or lower `min_frequency`.",
        )
    return {
        "new_tokens_by_language": dict(sorted(by_language.items())),
        "targets": against_kept(targets, grower.limits.weights, growth, runtime),
        "given_pieces": applied.facts(),
        "dropped": dict(sorted(grower.dropped.items())),
        "languages_without_text_in_their_script": grower.silent,
    }


def _check(
    params: Params, growth: Any, after: Any, found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> None:
    """The promises once more, on the final vocabulary."""
    from .kept import check_kept
    from .verify import check_reachable, check_round_trip

    check_reachable(growth, after)
    check_kept(rows, params.max_kept_change)
    for sample in found.values():
        check_round_trip(growth.original, after, sample.measured)


def _fertility(
    out: Path, growth: Any, after: Any, found: Mapping[str, Any], kept: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    import json

    from .fertility import UNIT_NOTE, fertility_rows

    texts = {language: sample.measured for language, sample in found.items()}
    held = {language: bool(sample.held_out) for language, sample in found.items()}
    rows = fertility_rows(growth.original, after, texts, held)
    report = {
        "rows": rows,
        "kept": list(kept),
        "vocab_size_before": growth.base_size,
        "vocab_size_after": after.get_vocab_size(),
        "unit_note": UNIT_NOTE,
    }
    (out / "fertility.json").write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    return {row["language"]: [row["tokens_per_word_before"], row["tokens_per_word_after"]] for row in rows}


def output_kind(params: Params, given: Mapping[str, Sequence[str]]) -> str:
    """A tokenizer from a tokenizer; from anything else (a checkpoint, or a folder from outside) a checkpoint."""
    return "tokenizer" if list(given.get("base", ())) == ["tokenizer"] else "checkpoint"


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """The base's vocabulary and parameters grown; about 1 MB a second of the text that is learnt from, and as much
    again for targets."""
    base = (facts.get("base") or [{}])[0]
    gone_through, size = read_bytes(facts.get("documents", ()), params.max_documents)
    old = base.get("vocab_size", 32_000)
    vocab_size = -(-(old + params.num_new_tokens) // params.pad_to_multiple) * params.pad_to_multiple
    seconds = 20 + size / 1e6 * (2 if params.targets else 1) + gone_through / 1e8
    out = {"vocab_size": vocab_size, "seconds": seconds, "memory_bytes": 1e9 + 8 * size}
    if parameters := base.get("parameters", 0.0):
        parameters += (vocab_size - old) * base.get("hidden_size", 0.0) * (1 if base.get("tied") else 2)
        out |= {"parameters": parameters, "disk_bytes": 4 * parameters, "memory_bytes": 1e9 + 8 * size + 8 * parameters}
    return out


def reads(params: Params) -> Mapping[str, str]:
    """The initialisation's revision, and profiles of one's own."""
    from .init import INITS

    return {"initialisation": INITS.revision(params.init)} | reads_own_profiles()


STAGE = Stage(
    name="vocab.expand",
    revision=5,
    summary="New pieces for new languages, grown together by continued BPE, with their embedding rows.",
    params=Params,
    inputs={
        "base": Role(kinds=("checkpoint", "tokenizer"), help="the model or tokenizer to expand"),
        "documents": Role(kinds=("documents",), help="text of the new and the kept languages", many=True),
        "conversations": Role(
            kinds=("conversations",),
            help="chats in the new languages, whose words need pieces too",
            many=True,
            required=False,
        ),
        "translations": Role(
            kinds=("documents",),
            help="for `targets`: texts with the same id in a new and a kept language, which nothing is learned from",
            many=True,
            required=False,
        ),
        "pieces": Role(
            kinds=("pieces",),
            help="pieces to add first, as vocab.propose lists them",
            many=True,
            required=False,
        ),
        "vectors": Role(
            kinds=("checkpoint", EXTERNAL),
            help="for `init: auxiliary` (or `focus`): a .vec or .npz file, or a model, that knows the words",
            required=False,
        ),
    },
    output=output_kind,
    run=run,
    estimate=estimate,
    reads=reads,
    heavy=True,
    paper="SeaLLMs (arXiv:2312.00738) §2.2 expands for its languages; continued BPE as in arXiv:2512.03989; "
    "mean-of-subwords rows as in LFM2's in-place expansion (arXiv:2607.15232).",
)
