"""Sampan builds a language model for a region's languages and shows what every step did."""

__version__ = "0.1.0"
