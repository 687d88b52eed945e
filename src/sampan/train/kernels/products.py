"""The product of two float32 matrices by tiles of bfloat16: every number is the sum of three in bfloat16, and of the
nine products of these the six are added up that float32 would not round away.

The result is as close to the exact one as that of float32's own multiplications, or closer: a tile's sums are rounded
once for two products. A part below 2^-126 counts as zero, so that numbers below 2^-108 (3e-33) lose digits, and an
infinity gives NaN where it would give one.

As in all fast products (Goto and van de Geijn, doi:10.1145/1356052.1356053), panels of both matrices that fit into the
core's cache are first written down in the order in which they are read; here in their parts, too.

Shapes: M rows, N columns, K depth. Sizes and lines (from one row to the next, or from one depth to the next where
rows lie along the depth) are in numbers and bytes.
"""

from __future__ import annotations

import numba
import numpy as np
from numba.core import types

from . import SCRATCH
from .tiles import LANES, PARTS, TILE, clear, configure, multiply, number, put, release, split, take, turn, write

_leaf = numba.njit(error_model="numpy", _nrt=False)
_BLOCK = 2 * LANES
_DEPTH = 256
_COLUMNS = 512
_ROWS = 64
"""The most depth, columns and rows of a panel: 0.8 MB and 0.1 MB of two that cores with such tiles have (ours)."""
_STEP = PARTS * TILE
"""Bytes of the tiles of 16 rows or columns at depth 32."""
_NEAR = 4 * _STEP
"""Of 32 rows, what meets all columns before the rest does: 24 KB of a panel, half of the nearest cache."""
_SPARE = 4096
"""Bytes of a block of float32 numbers."""
_ZEROS = _SPARE + 64
"""A scratch holds a block to copy into, the tiles' shape, a row of zeros, and the panels."""
_PANELS = _SPARE + 128
assert _PANELS + (_COLUMNS + _ROWS) * _DEPTH * 2 * PARTS <= SCRATCH

_SIDE = (types.int64, types.int64, types.boolean)
_SIGNATURE = types.void(types.int64, *_SIDE, *_SIDE, *[types.int64] * 5, types.boolean)


@_leaf
def _panel(scratch, rows, columns, step, out, line, high, wide, more):
    """The product of two panels."""
    for z in range(0, step, _NEAR):
        size, add = min(_NEAR, step - z), more or z > 0
        for x in range(0, high, _BLOCK):
            upper = rows + x // LANES * step + z
            for y in range(0, wide, _BLOCK):
                left, place = columns + y // LANES * step + z, out + x * line + y * 4
                if high - x >= _BLOCK and wide - y >= _BLOCK:
                    _block(upper, left, step, size, place, line, add)
                    continue
                inside, across = min(_BLOCK, high - x), min(_BLOCK, wide - y)
                if add:
                    _copy(place, line, inside, across, scratch, _BLOCK * 4)
                _block(upper, left, step, size, scratch, _BLOCK * 4, add)
                _copy(scratch, _BLOCK * 4, inside, across, place, line)


@_leaf
def _block(upper, left, step, size, place, line, more):
    """The product of 32 rows and 32 columns of two panels, for `size` bytes of each."""
    if more:
        take(place, line)
    else:
        clear()
    for z in range(0, size, _STEP):
        multiply(upper + z, upper + step + z, left + z, left + step + z)
    put(place, line)


@_leaf
def _pack(scratch, source, line, count, depth, deep, turned, out):
    """Write `count` rows or columns of a matrix as tiles of parts: [tiles, depth / 32, PARTS]; an even number of tiles,
    what is beyond the matrix being zeros. Memory is read in its order, as far as tiles lie in it as a whole."""
    whole, below = count // LANES, depth // _BLOCK
    tiles, steps = -(-count // _BLOCK) * 2, -(-depth // _BLOCK)
    if deep:
        for first in range(whole):
            for row in range(LANES):
                place, to = source + (first * LANES + row) * line, out + first * steps * _STEP + row * 64
                for z in range(below):
                    split(place + z * 128, place + z * 128 + 64, to + z * _STEP)
    else:
        for z in range(below):
            for row in range(LANES):
                place, to = source + (z * _BLOCK + row) * line, out + z * _STEP + row * 64
                for first in range(whole):
                    split(place + first * 64, place + first * 64 + LANES * line, to + first * steps * _STEP)
    for first in range(tiles):
        for z in range(below if first < whole else 0, steps):
            place = source + (first * LANES * line + z * 128 if deep else z * _BLOCK * line + first * 64)
            inside, low = max(0, min(LANES, count - first * LANES)), min(_BLOCK, depth - z * _BLOCK)
            _tile(scratch, place, line, inside, low, deep, out + (first * steps + z) * _STEP)
    if turned:
        for place in range(out, out + tiles * steps * _STEP, TILE):
            turn(place)


@_leaf
def _tile(scratch, source, line, inside, below, deep, out):
    """Split `inside` (16 at most) rows or columns at `below` (32 at most) depths."""
    if inside < LANES or below != LANES:
        wide = _BLOCK if deep else LANES
        for y in range(LANES if deep else _BLOCK):
            for x in range(wide):
                there = y < inside and x < below if deep else x < inside and y < below
                write(scratch + (y * wide + x) * 4, number(source + y * line + x * 4) if there else np.float32(0))
        source, line, below = scratch, wide * 4, _BLOCK
    far, next_far = source + (LANES * 4 if deep else LANES * line), line
    if below == LANES:
        far, next_far = scratch + _ZEROS, 0
    for row in range(LANES):
        split(source + row * line, far + row * next_far, out + row * 64)


@_leaf
def _copy(source, source_line, rows, columns, out, out_line):
    for y in range(rows):
        for x in range(columns):
            write(out + y * out_line + x * 4, number(source + y * source_line + x * 4))


@numba.njit(_SIGNATURE, error_model="numpy", _nrt=False)
def product(scratch, left, left_line, left_deep, right, right_line, right_deep, out, out_line, m, n, k, more):
    """Write the product [M, N] of `left` [M, K] and `right` [K, N] to `out`, or add it if `more`.

    `scratch` are SCRATCH bytes that were zeros once, at a multiple of 64, and are used by no one else meanwhile. Lines
    of a matrix lie along the depth if it is `deep`.
    """
    configure(scratch + _SPARE)
    columns = scratch + _PANELS
    rows = columns + _COLUMNS * _DEPTH * 2 * PARTS
    parts = -(-k // _DEPTH)
    depth = -(-k // (parts * _BLOCK)) * _BLOCK
    for z in range(0, k, depth):
        deep = min(depth, k - z)
        step = -(-deep // _BLOCK) * _STEP
        for y in range(0, n, _COLUMNS):
            wide = min(_COLUMNS, n - y)
            place = right + (y * right_line + z * 4 if right_deep else z * right_line + y * 4)
            _pack(scratch, place, right_line, wide, deep, right_deep, right_deep, columns)
            for x in range(0, m, _ROWS):
                high = min(_ROWS, m - x)
                place = left + (x * left_line + z * 4 if left_deep else z * left_line + x * 4)
                _pack(scratch, place, left_line, high, deep, left_deep, not left_deep, rows)
                place = out + x * out_line + y * 4
                _panel(scratch, rows, columns, step, place, out_line, high, wide, more or z > 0)
    release()
