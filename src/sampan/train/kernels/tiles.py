"""Instructions for matrix tiles (Intel AMX, Instruction Set Extensions Programming Reference, ch. 3), and what fills
them, as functions for compiled loops. All places are addresses.

A tile has sixteen rows of 64 bytes. Tiles 0 to 3 hold a block of 32 by 32 sums in float32, quarter by quarter; 4 and 5
hold 32 rows of the left matrix, 6 and 7 32 columns of the right one, both at depth 32 in bfloat16. Two numbers share
four bytes there, whose depths are 16 apart, on both sides alike.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

TILE = 1024
"""Bytes of a tile."""
PARTS = 3
"""Numbers in bfloat16 whose sum is one in float32: the tile of one follows that of the other in memory."""
LANES = 16
_STEPS = (
    (("left", 2), ("right", 0)),
    (("left", 0),),
    (("right", 2),),
    (("right", 1),),
    (("left", 1),),
    (("right", 0),),
)
"""Parts (0 is the largest) that are loaded before each of the six products, the others being at hand: 2·0, 0·0, 0·2,
0·1, 1·1 and 1·0. What is left out is below 2^-26 of a product."""
_BYTE, _WORD, _LONG = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_PLACE = _BYTE.as_pointer()
_FLOATS, _WORDS = (ir.VectorType(kind, LANES) for kind in (ir.FloatType(), _WORD))


def _long(number: int) -> ir.Constant:
    return ir.Constant(_LONG, number)


def _every(number: int) -> ir.Constant:
    return ir.Constant(_WORDS, [number] * LANES)


def _call(builder, name: str, *args) -> None:
    """Call one of LLVM's functions for an instruction: numbers of tiles as int, places and strides as values."""
    given = [ir.Constant(_BYTE, arg) if isinstance(arg, int) else arg for arg in args]
    found = builder.module.globals.get(f"llvm.x86.{name}")
    kind = ir.FunctionType(ir.VoidType(), [arg.type for arg in given])
    builder.call(found or ir.Function(builder.module, kind, f"llvm.x86.{name}"), given)


def _load(builder, tile: int, place, stride) -> None:
    _call(builder, "tileloadd64", tile, builder.inttoptr(place, _PLACE), stride)


def _quarters(builder, place, stride):
    """Tiles 0 to 3 and where each begins in a block of 32 rows, `stride` bytes apart."""
    for tile in range(4):
        row = builder.mul(stride, _long(LANES * (tile // 2)))
        yield tile, builder.add(builder.add(place, row), _long(64 * (tile % 2)))


@intrinsic
def configure(typing_context, place):
    """Give all eight tiles their shape, written to the 64 bytes at `place`; `release` ends it."""

    def generate(context, builder, signature, args):
        kind = ir.VectorType(_BYTE, 64)
        shape = ir.Constant(kind, list(bytes([1, *[0] * 15, *[64, 0] * 8, *[0] * 16, *[LANES] * 8, *[0] * 8])))
        builder.store(shape, builder.inttoptr(args[0], kind.as_pointer()), align=64)
        _call(builder, "ldtilecfg", builder.inttoptr(args[0], _PLACE))
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def release(typing_context):
    def generate(context, builder, signature, args):
        _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def clear(typing_context):
    """Sums of nothing."""

    def generate(context, builder, signature, args):
        for tile in range(4):
            _call(builder, "tilezero", tile)
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def take(typing_context, place, stride):
    """Go on from the sums in 32 rows, `stride` bytes apart."""

    def generate(context, builder, signature, args):
        for tile, quarter in _quarters(builder, *args):
            _load(builder, tile, quarter, args[1])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def put(typing_context, place, stride):
    """Write the sums to 32 rows, `stride` bytes apart."""

    def generate(context, builder, signature, args):
        for tile, quarter in _quarters(builder, *args):
            _call(builder, "tilestored64", tile, builder.inttoptr(quarter, _PLACE), args[1])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def multiply(typing_context, upper, lower, left, right):
    """Add the product of 32 rows and 32 columns at depth 32: the PARTS tiles of the rows' two halves, and of the
    columns', begin at these places."""

    def generate(context, builder, signature, args):
        sides = {"left": (4, args[:2]), "right": (6, args[2:])}
        for loads in _STEPS:
            for side, part in loads:
                first, places = sides[side]
                for half, place in enumerate(places):
                    _load(builder, first + half, builder.add(place, _long(TILE * part)), _long(64))
            for tile in range(4):
                _call(builder, "tdpbf16ps", tile, 4 + tile // 2, 6 + tile % 2)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@intrinsic
def split(typing_context, low, high, out):
    """Write row `out` of PARTS tiles: the numbers at `low` and `high`, LANES each, in parts.

    A part is what is left, rounded to eight digits, so that three are a float32's 24: the last needs no rounding.
    """

    def generate(context, builder, signature, args):
        left = [builder.load(builder.inttoptr(place, _FLOATS.as_pointer()), align=4) for place in args[:2]]
        for part in range(PARTS):
            bits = [builder.bitcast(x, _WORDS) for x in left]
            if part < PARTS - 1:
                bits = [builder.add(x, _every(0x8000)) for x in bits]
            bits = [builder.and_(x, _every(0xFFFF0000)) for x in bits]
            both = builder.or_(builder.lshr(bits[0], _every(16)), bits[1])
            place = builder.add(args[2], _long(TILE * part))
            builder.store(both, builder.inttoptr(place, _WORDS.as_pointer()), align=64)
            left = [builder.fsub(x, builder.bitcast(y, _FLOATS)) for x, y in zip(left, bits, strict=True)]
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@intrinsic
def turn(typing_context, place):
    """Make columns of a tile's rows, four bytes wide, in place."""

    def generate(context, builder, signature, args):
        rows = [builder.inttoptr(builder.add(args[0], _long(64 * row)), _WORDS.as_pointer()) for row in range(LANES)]
        values = [builder.load(row, align=64) for row in rows]
        for apart in (8, 4, 2, 1):  # exchange blocks of this size across the diagonal
            upper = [n + LANES - apart if n & apart else n for n in range(LANES)]
            lower = [n + LANES if n & apart else n + apart for n in range(LANES)]
            for row in (row for row in range(LANES) if not row & apart):
                pair = values[row], values[row + apart]
                for place, order in ((row, upper), (row + apart, lower)):
                    values[place] = builder.shuffle_vector(*pair, ir.Constant(_WORDS, order))
        for row, value in zip(rows, values, strict=True):
            builder.store(value, row, align=64)
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def number(typing_context, place):
    def generate(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], ir.FloatType().as_pointer()), align=4)

    return types.float32(types.int64), generate


@intrinsic
def write(typing_context, place, number):
    def generate(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], ir.FloatType().as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.float32), generate
