"""One self-contained HTML page that shows what every step of a lineage did: `collect` reads, `render` writes."""

from __future__ import annotations

from .collect import StageSource, collect
from .data import Record, ReportData, Sample, StageView, VariantView
from .page import render

__all__ = ["Record", "ReportData", "Sample", "StageSource", "StageView", "VariantView", "collect", "render"]
