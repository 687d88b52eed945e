"""What every stage that reads HTML pages lets one set."""

from __future__ import annotations

from typing import Literal

from ..core.params import params

_PAGES_PER_SECOND = {"sampan": 300, "accuracy": 45, "resiliparse": 700, "trafilatura": 70}
"""Of one core, pages of 100 KB: see docs/why/extraction.md."""


@params
class PageParams:
    """How a page becomes text, and what its document says of itself."""

    extractor: Literal["sampan", "accuracy", "resiliparse", "trafilatura"] = "sampan"
    """How the main text is found: by our own block model, with `accuracy` by one that also knows what trafilatura
    keeps, by resiliparse's rules (faster, less exact) or by trafilatura. docs/why/extraction.md has the measured F1 and
    speed of each. trafilatura is an extra, which `accuracy` needs as well: `pip install 'sampan[trafilatura]'`."""
    min_text_characters: int = 80
    """A main text shorter than this is replaced by all visible text of the page, if that is longer. Ours, not the
    papers'."""
    min_page_bytes: int = 64
    """Smaller pages are left out."""
    max_page_bytes: int = 8_000_000
    """Larger pages are left out; also those that unpack to more."""
    source: str = "web"
    """Source name given to every document."""
    license: str = ""
    """Licence given to every document."""

    def seconds_for(self, pages: float) -> float:
        """Forecast of one core's time for so many pages."""
        return pages / _PAGES_PER_SECOND[self.extractor]
