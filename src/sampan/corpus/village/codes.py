"""The languages of the village: one YAML each in `languages/`."""

from __future__ import annotations

from typing import Literal, get_args

Code = Literal[
    "eng_Latn",
    "zho_Hans",
    "vie_Latn",
    "ind_Latn",
    "msa_Latn",
    "tha_Thai",
    "khm_Khmr",
    "lao_Laoo",
    "mya_Mymr",
    "tgl_Latn",
    "tam_Taml",
]
LANGUAGES: tuple[Code, ...] = get_args(Code)
