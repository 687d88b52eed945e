"""What a merge counts while it runs, for its report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Tally:
    """Sums over all elements seen so far, for the report: G the Gram matrix of the task vectors, and the like."""

    elements: int
    merged_sq: float
    base_sq: float
    gram_MM: np.ndarray
    kept_M: np.ndarray

    @classmethod
    def empty(cls, models: int) -> Tally:
        return cls(0, 0.0, 0.0, np.zeros((models, models)), np.zeros(models, np.int64))

    @classmethod
    def from_json(cls, data: dict) -> Tally:
        gram_MM, kept_M = np.array(data["gram"], np.float64), np.array(data["kept"], np.int64)
        return cls(data["elements"], data["merged_sq"], data["base_sq"], gram_MM, kept_M)

    def to_json(self) -> dict:
        return {
            "elements": self.elements,
            "merged_sq": self.merged_sq,
            "base_sq": self.base_sq,
            "gram": self.gram_MM.tolist(),
            "kept": self.kept_M.tolist(),
        }

    def add(self, other: Tally) -> None:
        self.elements += other.elements
        self.merged_sq += other.merged_sq
        self.base_sq += other.base_sq
        self.gram_MM += other.gram_MM
        self.kept_M += other.kept_M
