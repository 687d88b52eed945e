"""The work of corpus.clean: one document in, the cleaned document or a reason out; shards of documents likewise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from ..artifacts.document_shards import document_jobs, gather_documents, read_job
from ..artifacts.documents import Document, DocumentWriter
from ..core.errors import InputError, RecipeError
from ..core.params import all_values, parse_params
from ..core.stage import Inputs, Runtime
from ..lang.codes import known_language, normalise_code
from ..lang.identify import identify
from ..lang.kernels import expect
from ..lang.lines import main_language, without_others
from ..lang.normalise import normalise
from ..lang.profile import Profile, harmful_words, languages, load_profile
from ..lang.scripts import chinese_variant
from .change_log import ChangeLog, merge_changes
from .clean import Params
from .filters import FILTERS
from .filters.boilerplate import without_notices
from .language import decide_language
from .limits import read_limits
from .phrases import Phrases
from .pii import find_personal_data, replace_spans
from .verdict import Verdict
from .view import TextView

_TEXT_BYTES = 4000
"""Bytes of a document, rather too many: a job that will have enough of them asks for the compiled loops."""
CHINESE = "zho_Hans"
ROLES = ("identifier", "limits", "harmful_words")


class Cleaner:
    """The rules of one run: languages, limits and filters resolved once. `params` is corpus.clean's Params; `files` are
    the paths of its inputs other than documents, by role."""

    def __init__(self, params: Params, files: Mapping[str, str] | None = None) -> None:
        files = files or {}
        self._params = params
        self._wanted = frozenset(normalise_code(code, where="languages") for code in params.languages)
        self._filters: list[Callable[[TextView], Verdict]] = [
            FILTERS.load(name, where="filters") for name in params.filters
        ]
        self.guess = _identifier(files.get("identifier"))
        self._limits = read_limits(Path(files["limits"])) if "limits" in files else {}
        self._word_lists = files.get("harmful_words", "")
        _check_word_lists(self._word_lists)
        self._profile, self._harmful = cache(self._with_limits), cache(self._harmful_words)
        self.personal_data: Counter[str] = Counter()
        """Personal data replaced so far, by kind."""
        self.changes = ChangeLog() if params.record_changes else None

    def _with_limits(self, code: str) -> Profile:
        profile = load_profile(code)
        limits = {**self._limits.get(code, {}), **self._params.limits}
        return replace(profile, thresholds=replace(profile.thresholds, **limits))

    def _harmful_words(self, code: str) -> Phrases | None:
        profile = load_profile(code)
        words = harmful_words(profile, self._word_lists)
        return Phrases(words, profile.spaced) if words else None

    def __call__(self, document: Document) -> tuple[Document, str]:
        """The document as it goes on, and '' or the reason why it does not."""
        document, reason = self.prepare(document)
        if reason:
            return document, reason
        if self._params.drop_lines:
            document = replace(document, text=without_notices(document.text))
        view = self.view(document)
        for check in self._filters:
            verdict = check(view)
            if not verdict.kept:
                return document, verdict.reason
        return self._without_personal_data(document)

    def prepare(self, document: Document) -> tuple[Document, str]:
        """The normalised document with its language, and '' or the reason to drop it at once."""
        try:
            declared = normalise_code(document.language) if document.language else ""
        except RecipeError:
            declared = None
        hint = declared or "" if self._params.trust_label else ""
        if self.changes is not None:
            self.changes.add(document.text, hint)
        text = normalise(document.text, hint)
        if not text:
            return document, "empty"
        if declared is None:
            return document, "unknown_language"
        language, reason = decide_language(
            text,
            declared,
            self.guess(text, name_others=bool(hint)),  # only a label that is trusted is held against the name
            wanted=self._wanted,
            trust_label=self._params.trust_label,
            page=_page_language(document) if self._params.use_declared else "",
            floor=lambda code: self._profile(code).thresholds.min_language_confidence,
        )
        found = _named(replace(document, text=text), language)
        if not reason and self._params.mixed != "keep":
            found, reason = self._unmixed(found, sure=bool(declared) and self._params.trust_label)
        if not reason and found.language == CHINESE and (variant := chinese_variant(found.text)):
            found = replace(found, meta={**found.meta, "variant": variant})
        return found, reason

    def _unmixed(self, document: Document, *, sure: bool) -> tuple[Document, str]:
        """What `mixed` makes of a document in which stretches are in other languages. If the language that it was named
        by is that of the fewer letters, and not `sure` by a label, it goes by that of the most: as a whole a page in
        Latin script counts for the language of another script from a quarter of the letters on."""
        text, share = without_others(document.text, document.language, self.guess)
        if share < 0.5 and not sure and (main := main_language(document.text, self.guess)[0]):
            other_text, other_share = without_others(document.text, main, self.guess)
            if other_share > share:
                text, share, document = other_text, other_share, _named(document, main)
                if self._wanted and main not in self._wanted:
                    return document, "unwanted_language"
        if self._params.mixed != "tag" and (share < self._params.min_main_share or not text):
            return document, "mixed_languages"
        if share == 1 or self._params.mixed == "drop":
            return document, ""
        marked = {**document.meta, "main_share": f"{share:.2f}"}
        return replace(document, meta=marked, text=document.text if self._params.mixed == "tag" else text), ""

    def view(self, document: Document) -> TextView:
        """A prepared document as the filters see it."""
        profile = self._profile(document.language)
        return TextView(document.text, profile, profile.thresholds, self._harmful(document.language))

    def _without_personal_data(self, document: Document) -> tuple[Document, str]:
        if self._params.pii == "keep":
            return document, ""
        found = find_personal_data(document.text, document.language, kinds=self._params.pii_kinds)
        if not found:
            return document, ""
        if self._params.pii == "drop":
            return document, "personal_data"
        self.personal_data.update(span.kind for span in found)
        return replace(document, text=replace_spans(document.text, found)), ""


def _named(document: Document, language: str) -> Document:
    return replace(document, language=language, script=language.partition("_")[2])


def _page_language(document: Document) -> str:
    """The language that the page of a document declares first, '' for none that has a profile."""
    return known_language(str(document.meta.get("declared_language", "")).partition(",")[0].strip())


def _identifier(path: str | None) -> Callable[..., Any]:
    if path is None:
        return identify
    from ..lang.identifier import load_identifier

    return partial(identify, identifier=load_identifier(Path(path)))


def _check_word_lists(path: str) -> None:
    """InputError for a folder without a list for any language: it would filter nothing, in silence."""
    if path and Path(path).is_dir() and not {file.stem for file in Path(path).glob("*.txt")} & set(languages()):
        raise InputError(
            "no word list is named after a language", where=path, how="Call it like its language: tha_Thai.txt."
        )


def clean(params: Params, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Write what is kept; InputError if nothing is. Documents in = documents out + drops by reason."""
    sources = inputs.many("documents")
    files = {role: str(given.path) for role in ROLES if (given := inputs.optional(role))}
    Cleaner(params, files)  # what is wrong with the parameters is said before the work starts
    jobs = [{**job, "params": all_values(params), "files": files} for job in document_jobs(sources)]
    shards = runtime.shards(
        "clean", "sampan.corpus.cleaning:clean_part", jobs, weights=[job["bytes"] for job in jobs], unit="bytes"
    )
    summary = gather_documents(shards, runtime.out)
    seen = summary["documents"] + summary["dropped_documents"]
    if not seen:
        raise InputError("there is no document to clean", where=", ".join(source.name for source in sources))
    if not summary["documents"]:
        raise InputError(
            f"none of {seen} documents was kept (dropped: {summary['dropped']})",
            where=", ".join(source.name for source in sources),
            how="Check `languages`, or loosen the limit that drops most.",
        )
    personal_data = sum((Counter(shard.facts["personal_data"]) for shard in shards), Counter())
    recorded = {}
    if params.record_changes:
        merge_changes([shard.folder for shard in shards], runtime.out)
        totals = sum((Counter(shard.facts["changes"]) for shard in shards), Counter())
        recorded = {"changes": dict(sorted(totals.items()))}
    return {
        "documents_in": seen,
        "documents": summary["documents"],
        "text_bytes": summary["text_bytes"],
        "dropped": {reason: sum(counts.values()) for reason, counts in summary["dropped"].items()},
        "personal_data": dict(sorted(personal_data.items())),
        **recorded,
    }


def clean_part(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """One shard: the documents of a job of `document_jobs`, cleaned into `out`."""
    cleaner = Cleaner(parse_params(Params, job["params"], where="corpus.clean"), job["files"])
    expect(job["bytes"] // _TEXT_BYTES)
    with DocumentWriter(out) as writer:
        for document in read_job(job):
            kept, reason = cleaner(document)
            if reason:
                writer.drop(reason, kept.language, kept.text, source=kept.source)
            else:
                writer.write(kept)
    facts: dict[str, Any] = {"personal_data": dict(cleaner.personal_data)}
    if cleaner.changes is not None:
        cleaner.changes.write(out)
        facts["changes"] = dict(cleaner.changes.totals)
    return facts
