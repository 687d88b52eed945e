"""Thirty-two bytes at once, which the compiler does not find in loops that may end at any byte.

Each of these is a few instructions of whatever vectors the processor has; the caller sees to it that all bytes are
within the arrays.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

WIDTH = 32
_LANES = ir.VectorType(ir.IntType(8), WIDTH)


def _pointer(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _LANES.as_pointer())


def _first(context, builder, signature, args, wanted):
    """The first of the bytes from `args[1]` of the array `args[0]` on that is one of `wanted`, WIDTH if none is."""
    lanes = builder.load(_pointer(context, builder, signature.args[0], *args[:2]), align=1)
    found = ir.Constant(ir.VectorType(ir.IntType(1), WIDTH), [0] * WIDTH)
    for byte in wanted:
        filled = ir.Constant(_LANES, ir.Undefined)
        filled = builder.insert_element(filled, byte, ir.Constant(ir.IntType(32), 0))
        every = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        filled = builder.shuffle_vector(filled, ir.Constant(_LANES, ir.Undefined), every)
        found = builder.or_(found, builder.icmp_unsigned("==", lanes, filled))
    mask = builder.bitcast(found, ir.IntType(WIDTH))
    place = builder.cttz(mask, ir.Constant(ir.IntType(1), 0))
    return builder.zext(place, ir.IntType(64))


@intrinsic
def first_of(typing_context, data, start, byte):
    """Place, counted from `start`, of the first of WIDTH bytes that equals `byte`; WIDTH if none does."""

    def generate(context, builder, signature, args):
        return _first(context, builder, signature, args, [builder.trunc(args[2], ir.IntType(8))])

    return types.int64(data, types.int64, types.int64), generate


@intrinsic
def first_of_four(typing_context, data, start, a, b, c, d):
    """Place, counted from `start`, of the first of WIDTH bytes that is one of four; WIDTH if none is."""

    def generate(context, builder, signature, args):
        return _first(context, builder, signature, args, [builder.trunc(each, ir.IntType(8)) for each in args[2:]])

    return types.int64(data, types.int64, types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def move(typing_context, data, start, out, place):
    """Copy WIDTH bytes of `data` from `start` on to `place` of `out`."""

    def generate(context, builder, signature, args):
        lanes = builder.load(_pointer(context, builder, signature.args[0], *args[:2]), align=1)
        builder.store(lanes, _pointer(context, builder, signature.args[2], *args[2:]), align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, out, types.int64), generate
