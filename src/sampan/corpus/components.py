"""Connected components of a graph given by its edges: who is a near duplicate of whom, by any chain of them."""

from __future__ import annotations

import numpy as np


def components(edges_E2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(nodes [V], roots [V]) of edges [E, 2] between any uint64 numbers: the nodes sorted, each with the smallest node
    that it is connected to.

    Every round hooks the root of each edge's ends onto the smaller root, then shortens all paths: about log V rounds.
    """
    nodes_V, ends_E2 = np.unique(edges_E2, return_inverse=True)
    ends_E2 = ends_E2.reshape(-1, 2)
    root_V = np.arange(len(nodes_V))
    while len(ends_E2):
        left_E, right_E = root_V[ends_E2[:, 0]], root_V[ends_E2[:, 1]]
        apart_E = left_E != right_E
        ends_E2, left_E, right_E = ends_E2[apart_E], left_E[apart_E], right_E[apart_E]
        np.minimum.at(root_V, np.maximum(left_E, right_E), np.minimum(left_E, right_E))
        while not np.array_equal(shorter_V := root_V[root_V], root_V):
            root_V = shorter_V
    return nodes_V, nodes_V[root_V]
