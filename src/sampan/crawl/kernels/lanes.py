"""Thirty-two bytes at once, which the compiler does not find in loops that may end at any byte.

Each of these is a few instructions of whatever vectors the processor has; the caller sees to it that all bytes are
within the arrays.
"""

from __future__ import annotations

import functools

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

WIDTH = 32
_LANES = ir.VectorType(ir.IntType(8), WIDTH)


def _pointer(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _LANES.as_pointer())


def _equal(context, builder, array_type, array, start, byte):
    """Which of WIDTH bytes of the array from `start` on are `byte`, as a vector of bits."""
    lanes = builder.load(_pointer(context, builder, array_type, array, start), align=1)
    none, first = ir.Constant(_LANES, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(none, builder.trunc(byte, ir.IntType(8)), first)
    every = builder.shuffle_vector(one, none, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH))
    return builder.icmp_unsigned("==", lanes, every)


def _place(builder, found):
    """Place of the first set bit of a vector, WIDTH if there is none."""
    mask = builder.bitcast(found, ir.IntType(WIDTH))
    return builder.zext(builder.cttz(mask, ir.Constant(ir.IntType(1), 0)), ir.IntType(64))


@intrinsic
def first_of(typing_context, data, start, byte):
    """Place, counted from `start`, of the first of WIDTH bytes that equals `byte`; WIDTH if none does."""

    def generate(context, builder, signature, args):
        return _place(builder, _equal(context, builder, signature.args[0], *args))

    return types.int64(data, types.int64, types.int64), generate


@intrinsic
def first_of_pair(typing_context, data, start, byte, other_start, other):
    """As `first_of` of the places at which, counted from `other_start`, there is `other` too."""

    def generate(context, builder, signature, args):
        kind, (array, start, byte, other_start, other) = signature.args[0], args
        one = _equal(context, builder, kind, array, start, byte)
        return _place(builder, builder.and_(one, _equal(context, builder, kind, array, other_start, other)))

    return types.int64(data, types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def first_of_four(typing_context, data, start, a, b, c, d):
    """Place, counted from `start`, of the first of WIDTH bytes that is one of four; WIDTH if none is."""

    def generate(context, builder, signature, args):
        found = [_equal(context, builder, signature.args[0], *args[:2], byte) for byte in args[2:]]
        return _place(builder, functools.reduce(builder.or_, found))

    return types.int64(data, *[types.int64] * 5), generate


def _ones(builder, found):
    """How many bits of a vector are set."""
    return builder.zext(builder.ctpop(builder.bitcast(found, ir.IntType(WIDTH))), ir.IntType(64))


@intrinsic
def count_of(typing_context, data, start, byte):
    """How many of WIDTH bytes from `start` on equal `byte`."""

    def generate(context, builder, signature, args):
        return _ones(builder, _equal(context, builder, signature.args[0], *args))

    return types.int64(data, types.int64, types.int64), generate


@intrinsic
def count_of_pair(typing_context, data, start, byte, other_start, other):
    """As `count_of` of the places at which, counted from `other_start`, there is `other` too."""

    def generate(context, builder, signature, args):
        kind, (array, start, byte, other_start, other) = signature.args[0], args
        one = _equal(context, builder, kind, array, start, byte)
        return _ones(builder, builder.and_(one, _equal(context, builder, kind, array, other_start, other)))

    return types.int64(data, types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def count_later(typing_context, data, start):
    """How many of WIDTH bytes from `start` on are later bytes of a character in UTF-8 (0x80 to 0xBF)."""

    def generate(context, builder, signature, args):
        lanes = builder.load(_pointer(context, builder, signature.args[0], *args), align=1)
        least = ir.Constant(_LANES, [-64] * WIDTH)  # as signed numbers these are the smallest
        return _ones(builder, builder.icmp_signed("<", lanes, least))

    return types.int64(data, types.int64), generate


@intrinsic
def move(typing_context, data, start, out, place):
    """Copy WIDTH bytes of `data` from `start` on to `place` of `out`."""

    def generate(context, builder, signature, args):
        lanes = builder.load(_pointer(context, builder, signature.args[0], *args[:2]), align=1)
        builder.store(lanes, _pointer(context, builder, signature.args[2], *args[2:]), align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, out, types.int64), generate
