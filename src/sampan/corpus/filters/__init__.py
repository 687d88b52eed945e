"""Filters by name: pure functions `TextView -> Verdict`, one file each, with a REVISION beside the function.

Each is a list of RULES (a statistic, a limit, a reason), which `corpus.calibrate` reads too. Every statistic is over
characters, lines, or the language's counting units (words; clusters in scripts without spaces), never over spaces, so
that one rule means the same in Thai and in English.
"""

from ...core.registry import Registry

FILTERS = Registry(
    "filter",
    {
        "encoding": "sampan.corpus.filters.encoding:encoding",
        "length": "sampan.corpus.filters.length:length",
        "script": "sampan.corpus.filters.script:script",
        "digits": "sampan.corpus.filters.digits:digits",
        "symbols": "sampan.corpus.filters.symbols:symbols",
        "repetition": "sampan.corpus.filters.repetition:repetition",
        "boilerplate": "sampan.corpus.filters.boilerplate:boilerplate",
        "menu": "sampan.corpus.filters.menu:menu",
        "c4": "sampan.corpus.filters.c4:c4",
        "spam": "sampan.corpus.filters.spam:spam",
        "gopher": "sampan.corpus.filters.gopher:gopher",
        "fineweb": "sampan.corpus.filters.fineweb:fineweb",
        "harmful": "sampan.corpus.filters.harmful:harmful",
    },
    group="sampan.filters",
)
