"""Layered drawing of an acyclic graph: longest-path layers, barycentre order, least-squares positions.

Layers run from top to bottom. An edge over several layers passes each layer between them in a lane of its own, so no
edge crosses a box. Pure and deterministic: equal graphs give equal drawings.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]
_SWEEPS = 12
_ROUNDS = 60
_SETTLE = 24


@dataclass(frozen=True)
class Box:
    """A node: left, top, width and height in pixels."""

    name: str
    layer: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Edge:
    """From the foot of `tail` to the head of `head`; points in pairs: leave, (enter and leave a lane)…, arrive."""

    tail: str
    head: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Layout:
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    width: float
    height: float


@dataclass(frozen=True)
class Sizes:
    """Pixels: box width and height, gaps between boxes and between layers, width of an edge's lane, outer margin."""

    width: float = 176
    height: float = 64
    gap_x: float = 18
    gap_y: float = 38
    lane: float = 14
    margin: float = 12


def layout(nodes: Sequence[str], edges: Iterable[tuple[str, str]], sizes: Sizes | None = None) -> Layout:
    """Place `nodes` (each after what it reads) and route `edges` (tail, head) forward.

    ValueError if an edge goes backwards in the order of `nodes` or names no node.
    """
    sizes = sizes or Sizes()
    edges = list(dict.fromkeys(edges))
    layer_of = _layers(nodes, edges)
    layers, chains = _with_lanes(nodes, edges, layer_of)
    links = [(a, b) for chain in chains.values() for a, b in pairwise(chain)]
    layers = _ordered(layers, links)
    x_of = _positions(layers, links, sizes)
    half = sizes.width / 2
    left = min((x_of[name] - half for name in nodes), default=0)
    left = min([left, *(x - sizes.lane / 2 for x in x_of.values())])
    x_of = {name: round(x - left + sizes.margin, 1) for name, x in x_of.items()}
    top_of = [sizes.margin + row * (sizes.height + sizes.gap_y) for row in range(len(layers))]
    boxes = [
        Box(name, layer_of[name], round(x_of[name] - half, 1), top_of[layer_of[name]], sizes.width, sizes.height)
        for name in nodes
    ]
    right = max([box.x + box.width for box in boxes] + [x + sizes.lane / 2 for x in x_of.values()], default=0)
    bottom = max((box.y + box.height for box in boxes), default=0)
    routed = _route(chains, x_of, layer_of, top_of, sizes)
    return Layout(tuple(boxes), tuple(routed), round(right + sizes.margin, 1), bottom + sizes.margin)


def _layers(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Longest path from a source; then nodes without inputs move down to just above their first reader."""
    place = {name: index for index, name in enumerate(nodes)}
    for tail, head in edges:
        if tail not in place or head not in place or place[tail] >= place[head]:
            raise ValueError(f"edge {tail} → {head} does not go forward")
    layer = dict.fromkeys(nodes, 0)
    for tail, head in sorted(edges, key=lambda edge: place[edge[1]]):
        layer[head] = max(layer[head], layer[tail] + 1)
    heads = {head for _, head in edges}
    for name in nodes:
        readers = [layer[head] for tail, head in edges if tail == name]
        if name not in heads and readers:
            layer[name] = min(readers) - 1
    return layer


def _with_lanes(nodes, edges, layer_of):
    """Layers of names, a tuple (tail, head, layer) standing for the lane of a long edge; and each edge's chain."""
    layers: list[list] = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    for name in nodes:
        layers[layer_of[name]].append(name)
    chains = {}
    for tail, head in edges:
        lanes = [(tail, head, row) for row in range(layer_of[tail] + 1, layer_of[head])]
        for lane in lanes:
            layers[lane[2]].append(lane)
        chains[tail, head] = [tail, *lanes, head]
    return layers, chains


def _ordered(layers: list[list], links: list) -> list[list]:
    """Reorder each layer by the mean place of its neighbours, sweeping down and up; keep the fewest crossings."""
    above, below = _neighbours(links)
    best, fewest = [list(row) for row in layers], _crossings(layers, below)
    for sweep in range(_SWEEPS):
        downward = sweep % 2 == 0
        rows = range(1, len(layers)) if downward else range(len(layers) - 2, -1, -1)
        for row in rows:
            near = layers[row - 1 if downward else row + 1]
            place = {name: index for index, name in enumerate(near)}
            sides = above if downward else below
            own = {name: index for index, name in enumerate(layers[row])}
            weight = {}
            for name in layers[row]:
                spots = [place[other] for other in sides.get(name, ()) if other in place]
                weight[name] = sum(spots) / len(spots) if spots else own[name] * len(near) / len(layers[row])
            layers[row] = sorted(layers[row], key=lambda name: (weight[name], own[name]))
        crossings = _crossings(layers, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in layers], crossings
    return best


def _neighbours(links):
    above, below = {}, {}
    for upper, lower in links:
        above.setdefault(lower, []).append(upper)
        below.setdefault(upper, []).append(lower)
    return above, below


def _crossings(layers: list[list], below: dict) -> int:
    """Pairs of links between neighbouring layers that cross."""
    total = 0
    for row in range(len(layers) - 1):
        place = {name: index for index, name in enumerate(layers[row + 1])}
        seen: list[int] = []
        for name in layers[row]:
            ends = sorted(place[other] for other in below.get(name, ()))
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _positions(layers: list[list], links: list, sizes: Sizes) -> dict:
    """Centres: each is drawn to the mean of its neighbours while the layer keeps its order and gaps."""
    above, below = _neighbours(links)
    x_of = {}
    for row in layers:
        offset = _offsets(row, sizes)
        middle = offset[-1] / 2 if offset else 0
        x_of |= {name: place - middle for name, place in zip(row, offset, strict=True)}
    for turn in range(_ROUNDS):
        order = layers if turn % 2 == 0 else layers[::-1]
        sides = (above, below) if turn >= _ROUNDS - _SETTLE else ((above,) if turn % 2 == 0 else (below,))
        lanes: dict[tuple, list[float]] = {}
        for name in x_of:
            if isinstance(name, tuple):
                lanes.setdefault(name[:2], []).append(x_of[name])
        straight = {edge: sum(places) / len(places) for edge, places in lanes.items()}
        for row in order:
            wish, weight = [], []
            for name in row:
                near = [x_of[other] for side in sides for other in side.get(name, ())]
                mean = sum(near) / len(near) if near else x_of[name]
                # The lanes of one edge keep to one line; a node without neighbours on this side only follows.
                is_lane = isinstance(name, tuple)
                wish.append(0.9 * straight[name[:2]] + 0.1 * mean if is_lane else mean)
                weight.append(3.0 if is_lane else 1.0 if near else 0.05)
            x_of |= dict(zip(row, _spread(wish, weight, _offsets(row, sizes)), strict=True))
    return x_of


def _offsets(row: list, sizes: Sizes) -> list[float]:
    """Least distance of each centre from the first one's."""
    out, total = [], 0.0
    for index, name in enumerate(row):
        if index:
            halves = [sizes.lane if isinstance(item, tuple) else sizes.width for item in (row[index - 1], name)]
            gap = 0 if all(isinstance(item, tuple) for item in (row[index - 1], name)) else sizes.gap_x
            total += sum(halves) / 2 + gap
        out.append(total)
    return out


def _spread(wish: list[float], weight: list[float], offset: list[float]) -> list[float]:
    """Least-squares places with x[i+1] − x[i] ≥ offset[i+1] − offset[i]: isotonic regression by pooling."""
    blocks: list[list[float]] = []
    for target, mass, shift in zip(wish, weight, offset, strict=True):
        blocks.append([target - shift, mass, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, total, size = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + mean * total) / (last[1] + total)
            last[1] += total
            last[2] += size
    flat = [mean for mean, _, size in blocks for _ in range(int(size))]
    return [place + shift for place, shift in zip(flat, offset, strict=True)]


def _route(chains, x_of, layer_of, top_of, sizes: Sizes) -> list[Edge]:
    """Points of each edge; several edges at one node leave and arrive side by side in the order of where they go."""
    leaving, arriving = {}, {}
    for tail, head in chains:
        leaving.setdefault(tail, []).append((tail, head))
        arriving.setdefault(head, []).append((tail, head))
    start, end = {}, {}
    for ports, sides, step in ((start, leaving, 1), (end, arriving, -2)):
        for name, group in sides.items():
            group = sorted(group, key=lambda edge: (x_of[chains[edge][step]], edge))
            gap = min(12.0, (sizes.width - 48) / max(1, len(group) - 1))
            for index, edge in enumerate(group):
                ports[edge] = round(x_of[name] + (index - (len(group) - 1) / 2) * gap, 1)
    out = []
    for (tail, head), chain in chains.items():
        points = [(start[tail, head], top_of[layer_of[tail]] + sizes.height)]
        for lane in chain[1:-1]:
            points += [(x_of[lane], top_of[lane[2]]), (x_of[lane], top_of[lane[2]] + sizes.height)]
        points.append((end[tail, head], top_of[layer_of[head]]))
        out.append(Edge(tail, head, tuple(points)))
    return out
