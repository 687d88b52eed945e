"""Compiled `trees.Forest.scores`: what the trees say of all blocks of a page, four trees at a time.

Answers stand in rows of whole vectors: of a row of a hundred bytes the rest after the last vector, read byte by byte,
takes most of the time.
"""

from __future__ import annotations

import numpy as np

from ...core.compiled import leaf

_VECTOR = 64
_AT_ONCE = 4


def forest_sums(values_FB, features_Q, thresholds_Q, which_8T, leaves_TL):
    """Sums of the trees' answers, tree after tree. [B] (float32)

    `which_8T` are the numbers of each tree's questions, Q (always answered by no) where it has fewer.
    """
    blocks = values_FB.shape[1]
    wide = -(-blocks // _VECTOR) * _VECTOR
    above_QB, leaf_4B = np.zeros((len(features_Q) + 1, wide), np.uint8), np.empty((_AT_ONCE, wide), np.uint8)
    sums_B = np.zeros(blocks, np.float32)
    _add(values_FB, features_Q, thresholds_Q, which_8T, leaves_TL, above_QB, leaf_4B, sums_B)
    return sums_B


@leaf
def _add(values_FB, features_Q, thresholds_Q, which_8T, leaves_TL, above_QB, leaf_4B, sums_B):
    for q in range(features_Q.size):
        feature, bound = features_Q[q], thresholds_Q[q]
        for b in range(sums_B.size):
            above_QB[q, b] = values_FB[feature, b] > bound
    trees = which_8T.shape[1]
    whole = trees - trees % _AT_ONCE
    for tree in range(0, whole, _AT_ONCE):
        for k in range(_AT_ONCE):
            _find_leaves(above_QB, which_8T, tree + k, leaf_4B[k])
        for b in range(sums_B.size):
            total = sums_B[b] + leaves_TL[tree, leaf_4B[0, b]]
            total += leaves_TL[tree + 1, leaf_4B[1, b]]
            total += leaves_TL[tree + 2, leaf_4B[2, b]]
            sums_B[b] = total + leaves_TL[tree + 3, leaf_4B[3, b]]
    for tree in range(whole, trees):
        _find_leaves(above_QB, which_8T, tree, leaf_4B[0])
        for b in range(sums_B.size):
            sums_B[b] += leaves_TL[tree, leaf_4B[0, b]]


@leaf
def _find_leaves(above_QB, which_8T, tree, leaf_B):
    q0, q1, q2, q3 = which_8T[0, tree], which_8T[1, tree], which_8T[2, tree], which_8T[3, tree]
    q4, q5, q6, q7 = which_8T[4, tree], which_8T[5, tree], which_8T[6, tree], which_8T[7, tree]
    for b in range(leaf_B.size):
        low = above_QB[q0, b] | above_QB[q1, b] << 1 | above_QB[q2, b] << 2 | above_QB[q3, b] << 3
        leaf_B[b] = low | above_QB[q4, b] << 4 | above_QB[q5, b] << 5 | above_QB[q6, b] << 6 | above_QB[q7, b] << 7
