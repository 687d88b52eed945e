"""The work of corpus.clean: one document in, the cleaned document or a reason out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from ..artifacts.documents import Document, DocumentWriter, read_documents, read_summary
from ..core.errors import InputError, RecipeError
from ..core.stage import Artifact, Runtime
from ..lang.codes import normalise_code
from ..lang.identify import identify
from ..lang.normalise import normalise
from ..lang.profile import Profile, load_profile
from .clean import LIMITS
from .filters import FILTERS
from .language import decide_language
from .verdict import Verdict
from .view import TextView


class Cleaner:
    """The rules of one run: languages, limits and filters resolved once. `params` is corpus.clean's Params."""

    def __init__(self, params: Any) -> None:
        self._params = params
        self._wanted = frozenset(normalise_code(code, where="languages") for code in params.languages)
        self._filters: list[Callable[[TextView], Verdict]] = [
            FILTERS.load(name, where="filters") for name in params.filters
        ]
        self._over = {name: getattr(params, name) for name in LIMITS if getattr(params, name) is not None}
        self._profile = cache(self._with_limits)

    def _with_limits(self, code: str) -> Profile:
        profile = load_profile(code)
        return replace(profile, thresholds=replace(profile.thresholds, **self._over))

    def __call__(self, document: Document) -> tuple[Document, str]:
        """The document as it goes on, and '' or the reason why it does not."""
        text = normalise(document.text)
        if not text:
            return document, "empty"
        try:
            declared = normalise_code(document.language) if document.language else ""
        except RecipeError:
            return document, "unknown_language"
        language, reason = decide_language(
            text,
            declared,
            identify(text),
            wanted=self._wanted,
            trust_label=self._params.trust_label,
            min_confidence=self._params.min_language_confidence,
        )
        script = language.partition("_")[2]
        document = replace(document, text=text, language=language, script=script)
        if reason:
            return document, reason
        profile = self._profile(language)
        view = TextView(text, profile, profile.thresholds)
        for check in self._filters:
            verdict = check(view)
            if not verdict.kept:
                return document, verdict.reason
        return document, ""


def clean(params: Any, sources: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write what is kept; InputError if nothing is. Documents in = documents out + drops by reason."""
    cleaner = Cleaner(params)
    total = sum(read_summary(source).get("documents", 0) for source in sources) or None
    seen = 0
    with DocumentWriter(runtime.out) as writer:
        for source in sources:
            for document in read_documents(source):
                seen += 1
                kept, reason = cleaner(document)
                if reason:
                    writer.drop(reason, kept.language, f"{kept.id}: {kept.text[:120]}")
                else:
                    writer.write(kept)
                if seen % 64 == 0:
                    runtime.progress(seen, total, "documents")
        summary = writer.summary()
    if not summary["documents"]:
        raise InputError(
            f"none of {seen} documents was kept (dropped: {summary['dropped']})",
            where=", ".join(source.name for source in sources),
            how="Check `languages`, or loosen the limit that drops most.",
        )
    return {
        "documents_in": seen,
        "documents": summary["documents"],
        "text_bytes": summary["text_bytes"],
        "dropped": {reason: sum(counts.values()) for reason, counts in summary["dropped"].items()},
    }
