"""Filters by name: pure functions `TextView -> Verdict`, one file each, with a REVISION beside the function.

Each is a list of RULES (a statistic, a limit, a reason), which `corpus.calibrate` reads too. Every statistic is over
characters, lines, or the language's counting units (words; clusters in scripts without spaces), never over spaces, so
that one rule means the same in Thai and in English.
"""

from ...core.registry import Registry

ORDER = (
    "encoding",
    "length",
    "script",
    "digits",
    "symbols",
    "repetition",
    "boilerplate",
    "menu",
    "c4",
    "spam",
    "gopher",
    "fineweb",
    "harmful",
)
"""Ours, in the order in which corpus.clean asks them: cheap ones and telling reasons first."""
FILTERS = Registry("filter", {name: f"sampan.corpus.filters.{name}:{name}" for name in ORDER}, group="sampan.filters")
