"""Our IFEval verdicts beside those that the reference implementation recorded.

    python tools/compare_ifeval.py FOLDER [--reference-tools]

FOLDER has `input_data.jsonl` (the published prompts) and `eval_results_strict.jsonl` and `eval_results_loose.jsonl`, as
google-research's instruction_following_eval writes them: the answer and a verdict for each of its instructions. Prints
what differs and the accuracies of both; what is known to differ is told in docs/why/evaluation.md.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sampan.core.lines import lines_of
from sampan.evals.instructions import CHECKERS, Checker, follows
from sampan.evals.instructions_reference import reference_checkers


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(file)]


def compare(folder: Path, way: str, checkers: Mapping[str, Checker]) -> str:
    """One paragraph about the verdicts of `way` (strict, loose)."""
    asked = {row["prompt"]: row for row in rows_of(folder / "input_data.jsonl")}
    seen, different, passed = Counter[str](), [], Counter[str]()
    results = rows_of(folder / f"eval_results_{way}.jsonl")
    for row in results:
        item = asked[row["prompt"]]
        kinds = item["instruction_id_list"]
        ours = follows(kinds, item["kwargs"], row["response"], "eng_Latn", loose=way == "loose", checkers=checkers)
        theirs = row["follow_instruction_list"]
        passed += Counter(ours=all(ours), theirs=all(theirs))
        for kind, mine, other in zip(kinds, ours, theirs, strict=True):
            seen[kind] += 1
            if mine != other:
                different.append(f"  {kind}, prompt {item['key']}: ours {mine}, theirs {other}")
    shares = ", ".join(f"{side} {passed[side] / len(results):.4f}" for side in ("ours", "theirs"))
    head = f"{way}: {seen.total() - len(different)} of {seen.total()} verdicts on {len(results)} answers are equal"
    return "\n".join([f"{head}; prompts followed: {shares}", *different])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reference-tools", action="store_true", help="langdetect and NLTK's Punkt instead of ours")
    options = parser.parse_args()
    checkers = reference_checkers() if options.reference_tools else CHECKERS
    for way in ("strict", "loose"):
        print(compare(options.folder, way, checkers))


if __name__ == "__main__":
    main()
