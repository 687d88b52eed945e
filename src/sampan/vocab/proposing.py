"""The work of `vocab.propose`: pieces of a target vocabulary that text uses, within budgets, and listed words."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import RecipeError, StageError
from ..core.stage import Inputs, Runtime
from ..lang.profile import languages as profiled
from ..lang.profile import load_profile
from .adopt import adopt
from .growth import Growth, open_growth
from .piece_counts import LanguageText, count_pieces
from .plan import script_of
from .proposals import Proposal, write_proposals
from .selection import documents_in, normalised
from .target_vocabulary import read_target
from .word_list import read_words

if TYPE_CHECKING:
    from .propose import Params


def propose(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    """Write pieces.jsonl; returns metrics, with the pieces left out by reason."""
    target, words = inputs.optional("target"), inputs.many("words")
    if target is None and not words:
        raise RecipeError("vocab.propose needs a `target` vocabulary or `words`", how="Add one of them under `from:`.")
    if target is not None and not inputs.many("documents"):
        raise RecipeError("a `target` vocabulary's pieces are counted in `documents`, and none were given")
    growth = open_growth(
        _tokenizer_folder(inputs.one("base").path, runtime.state),
        scripts=sorted({script_of(code) for code in profiled()}),
        repair=params.pretokenizer == "repair",
    )
    left_out: Counter[str] = Counter()
    chosen = _listed(params, growth, [source.path for source in words], left_out) if words else []
    licenses: set[str] = set()
    if target is not None:
        pieces = read_target(target.path)
        found = _read(params, growth, inputs, runtime, licenses)
        counts = {}
        for number, (language, text) in enumerate(found.items(), 1):
            counts[language] = count_pieces(growth, text, pieces)
            runtime.progress(number, len(found), "languages")
        chosen += _counted(params, growth, found, counts, chosen, left_out)
    write_proposals(runtime.out, chosen)
    return {
        "pieces": len(chosen),
        "pieces_by_language": dict(sorted(Counter(item.language for item in chosen).items())),
        "left_out": dict(sorted((+left_out).items())),
        "licenses": sorted(licenses),
    }


def _tokenizer_folder(path: Path, state: Path) -> Path:
    """The base's folder, its tokenizer converted to tokenizer.json first where there is none."""
    if (path / "tokenizer.json").is_file():
        return path
    folder = state / "base"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    adopt(path, folder)
    return folder


def _listed(params: Params, growth: Growth, lists: list[Path], left_out: Counter[str]) -> list[Proposal]:
    """The words of the word lists as pieces, most frequent first."""
    if not params.words_language:
        raise RecipeError("word lists need their language", how="Set `words_language`, such as tha_Thai.")
    language = normalised([params.words_language])[0]
    blank = load_profile(language).spaced if params.words_begin == "auto" else params.words_begin == "blank"
    counts: Counter[str] = Counter()
    for path in lists:
        for word, count in read_words(path):
            counts[" " + word if blank else word] += count
    held = [piece for piece in counts if growth.known(growth.spell(piece))]
    left_out["already_held"] += len(held)
    for piece in held:
        del counts[piece]
    left_out["over_budget"] += max(len(counts) - params.num_new_tokens, 0)
    return [Proposal(piece, language, count) for piece, count in counts.most_common(params.num_new_tokens)]


def _read(
    params: Params, growth: Growth, inputs: Inputs, runtime: Runtime, licenses: set[str]
) -> dict[str, LanguageText]:
    """The text of the languages to propose for and of the kept ones, in order of code."""
    kept, named = set(normalised(params.keep_languages)), set(normalised(params.languages))
    found: dict[str, LanguageText] = {}
    number: Counter[str] = Counter()
    for language, document in documents_in(inputs.many("documents"), runtime):
        if not language or (named and language not in named | kept) or number[language] == params.max_documents:
            continue
        number[language] += 1
        licenses |= {document.license} - {""}
        text = found.setdefault(language, LanguageText())
        text.add(growth, document.text, language, literal=params.counting == "literal")
    missing = sorted(named - found.keys())
    if missing or not found.keys() - kept:
        what = f"no document in {missing[0]}" if missing else "no document in a language to propose for"
        raise StageError(what, how=f"The documents are in {', '.join(sorted(found)) or 'no known language'}.")
    return dict(sorted(found.items()))


def _counted(
    params: Params,
    growth: Growth,
    found: Mapping[str, LanguageText],
    counts: Mapping[str, Counter[str]],
    listed: list[Proposal],
    left_out: Counter[str],
) -> list[Proposal]:
    """The pieces to propose, by language, most frequent first. A piece is of the language that makes it most often, and
    counts what all of them make of it."""
    kept = set(normalised(params.keep_languages))
    size = {language: max(text.bytes, 1) for language, text in found.items()}
    kept_bytes = max(sum(size[language] for language in kept & found.keys()), 1)
    total, in_kept, owner = Counter[str](), Counter[str](), dict[str, str]()
    for language, some in counts.items():
        (in_kept if language in kept else total).update(some)
        if language not in kept:
            for piece, count in some.items():
                if piece not in owner or count > counts[owner[piece]][piece]:
                    owner[piece] = language
    given = {item.piece for item in listed}
    by_language: dict[str, list[Proposal]] = {language: [] for language in found if language not in kept}
    for piece, count in sorted(total.items(), key=lambda item: (-item[1], len(item[0]), item[0])):
        language = owner[piece]
        rate = counts[language][piece] / size[language]
        if growth.known(growth.spell(piece)):
            left_out["already_held"] += 1
        elif piece in given:
            left_out["listed"] += 1
        elif count < params.min_frequency:
            left_out["below_min_frequency"] += 1
        elif in_kept[piece] / kept_bytes > params.max_kept_rate * rate:
            left_out["in_kept_languages"] += 1
        else:
            by_language[language].append(Proposal(piece, language, count))
    room = shares(params, {language: len(some) for language, some in by_language.items()}, len(listed))
    left_out["over_budget"] += sum(len(some) - room[language] for language, some in by_language.items())
    return [item for language, some in by_language.items() for item in some[: room[language]]]


def shares(params: Params, wanted: Mapping[str, int], taken: int) -> dict[str, int]:
    """Pieces that each language gets of those it wants: its own budget first, then equal shares of what is left, with
    what one does not need going to the others."""
    budgets = dict(zip(normalised(params.budgets), params.budgets.values(), strict=True))
    room = params.num_new_tokens - taken
    got: dict[str, int] = {}
    for language in sorted(wanted, key=lambda code: (code not in budgets, wanted[code], code)):
        waiting = len(wanted) - len(got)
        share = budgets[language] if language in budgets else room // waiting
        got[language] = max(min(wanted[language], share, room), 0)
        room -= got[language]
    return got
