"""The lineage as an SVG: boxes by room (shape, band pattern and tint), weights as heavy lines, data as thin ones.

A tap or a hover shows a stage's details in the panel below; without scripts the box is a link to the stages table.
"""

from __future__ import annotations

from collections.abc import Mapping

from .data import INPUT, ReportData, StageView, input_names
from .layout import Box, Edge, Layout, Sizes, layout
from .markup import Raw, duration, join, pairs, short, tag

SIZES = Sizes()
ROOMS = {
    INPUT: "given from outside",
    "crawl": "crawl: pages to documents",
    "corpus": "corpus: clean, mix, pack",
    "vocab": "vocab: tokenizer",
    "synth": "synth: made data",
    "train": "train",
    "merge": "merge",
    "evals": "evals: scores",
    "export": "export",
}
STATUS_MARKS = {
    "hit": ("✓", "reused"),
    "run": ("●", "built"),
    "failed": ("✕", "failed"),
    "pending": ("○", "pending"),
    "given": ("▹", "given"),
}
_NAME_CHARACTERS = 21
_KIND_CHARACTERS = 24


def lineage_layout(data: ReportData) -> Layout:
    """Boxes and edges of completed data."""
    edges = [(name, stage.name) for stage in data.stages for name in input_names(stage)]
    return layout([stage.name for stage in data.stages], edges, SIZES)


def lineage(data: ReportData) -> Raw:
    """The graph with its legend and details panel."""
    placed = lineage_layout(data)
    views = {stage.name: stage for stage in data.stages}
    heads = {tail: [e.head for e in placed.edges if e.tail == tail] for tail in views}
    edges = [_edge(edge, views) for edge in placed.edges]
    nodes = [_node(box, views[box.name], index) for index, box in enumerate(placed.boxes)]
    svg = tag(
        "svg",
        tag("title", f"Lineage of {data.recipe}: {len(views)} steps from top to bottom"),
        _definitions(),
        tag("g", edges, class_="edges"),
        tag("g", nodes, class_="nodes"),
        viewBox=f"0 0 {placed.width:g} {placed.height:g}",
        role="group",
        aria_label=f"Lineage graph, {len(views)} steps and {len(placed.edges)} links",
        style=f"--natural:{placed.width:g}px",
        class_="lineage",
    )
    box = tag("div", svg, class_="scroll graph", role="region", aria_label="Lineage graph", tabindex="0", id="graph")
    buttons = tag("button", "Whole graph", type="button", id="graph-fit", aria_pressed="false")
    panel = tag(
        "div",
        tag("button", "Close", type="button", id="panel-close"),
        [_panel(stage, heads[stage.name], index) for index, stage in enumerate(data.stages)],
        class_="panel",
        id="panel",
        hidden=True,
        aria_live="polite",
    )
    bar = tag("div", _legend(data), buttons, class_="graph-bar")
    hint = tag("p", "Tap or point at a step to see its parameters and metrics.", class_="note graph-hint")
    return join(bar, hint, box, panel)


def _edge(edge: Edge, views: Mapping[str, StageView]) -> Raw:
    """Straight through a lane, a smooth curve between layers."""
    (x, y), *rest = edge.points
    path = [f"M{x:g} {y:g}"]
    for index, (x2, y2) in enumerate(rest):
        if index % 2:
            path.append(f"V{y2:g}")
        else:
            middle = (y + y2) / 2
            path.append(f"C{x:g} {middle:g} {x2:g} {middle:g} {x2:g} {y2:g}")
        x, y = x2, y2
    weights = _is_weights(edge, views)
    measured = views[edge.head].room == "evals"
    kind = "measure" if measured else "weights" if weights else "data"
    return tag("path", d="".join(path), class_=f"edge {kind}", data_tail=edge.tail, data_head=edge.head)


def _is_weights(edge: Edge, views: Mapping[str, StageView]) -> bool:
    """Whether an edge carries a model: a checkpoint, or an input from outside given where a checkpoint goes."""
    tail, head = views[edge.tail], views[edge.head]
    roles = [role for role, names in head.inputs.items() if edge.tail in names]
    return tail.kind == "checkpoint" or (tail.room == INPUT and any(r in ("model", "models", "base") for r in roles))


def _node(box: Box, stage: StageView, index: int) -> Raw:
    mark, word = STATUS_MARKS.get(stage.status, ("?", stage.status))
    facts = " · ".join(filter(None, [short(stage.digest), duration(stage.seconds) if stage.seconds else "", mark]))
    checkpoint = " checkpoint" if stage.kind == "checkpoint" else ""
    label = f"{stage.name}, {stage.stage}, {word}"
    room = stage.room if stage.room in ROOMS else "other"
    return tag(
        "a",
        tag("title", label),
        tag("path", d=_outline(room, box.width, box.height), class_="face"),
        tag("rect", width="13", height=f"{box.height:g}", fill=f"url(#p-{room})", clip_path=f"url(#c-{room})"),
        tag("path", d=_outline(room, box.width, box.height), class_="shape"),
        tag("text", _cut(stage.name, _NAME_CHARACTERS), x="24", y="23", class_="name"),
        tag("text", _cut(stage.stage, _KIND_CHARACTERS), x="24", y="40", class_="kind"),
        tag("text", facts, x="24", y="56", class_="facts"),
        transform=f"translate({box.x:g} {box.y:g})",
        href=f"#stage-{index}",
        class_=f"node room-{room} is-{stage.status}{checkpoint}",
        data_stage=stage.name,
        data_panel=f"panel-{index}",
        aria_label=label,
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _outline(room: str, w: float, h: float) -> str:
    """The outline of a room's boxes as a path from the box's top left corner."""
    if room == "crawl":  # a slanted page
        return f"M0 0H{w:g}L{w - 12:g} {h:g}H0Z"
    if room == "vocab":  # a hexagon
        return f"M10 0H{w - 10:g}L{w:g} {h / 2:g}L{w - 10:g} {h:g}H10L0 {h / 2:g}Z"
    if room == "synth":  # a note with a folded corner
        return f"M0 0H{w - 14:g}L{w:g} 14V{h:g}H0Z"
    if room == "merge":  # cut corners
        return f"M11 0H{w - 11:g}L{w:g} 11V{h - 11:g}L{w - 11:g} {h:g}H11L0 {h - 11:g}V11Z"
    if room == "export":  # an arrow
        return f"M0 0H{w - 14:g}L{w:g} {h / 2:g}L{w - 14:g} {h:g}H0Z"
    r = {INPUT: 0, "corpus": 0, "train": 22}.get(room, 8)
    arc = f"A{r} {r} 0 0 1"
    return f"M{r} 0H{w - r:g}{arc} {w:g} {r}V{h - r:g}{arc} {w - r:g} {h:g}H{r}{arc} 0 {h - r:g}V{r}{arc} {r} 0Z"


_PATTERNS = {
    INPUT: "",
    "crawl": "M0 4H8",
    "corpus": "M-1 1L1 -1M0 8L8 0M7 9L9 7",
    "vocab": "M0 0L8 8M8 0L0 8",
    "synth": "M2 2h1v1h-1zM6 6h1v1h-1z",
    "train": "M0 0H8V8H0Z",
    "merge": "M2 0V8M6 0V8",
    "evals": "M-1 7L1 9M0 0L8 8M7 -1L9 1",
    "export": "M0 2H8M0 6H8",
    "other": "M4 0V8",
}
"""What fills the band at the left of a box, as strokes on an 8 × 8 tile (solid for train)."""


def _definitions() -> Raw:
    """Patterns and clipping outlines, one per room."""
    tiles = [
        tag(
            "pattern",
            tag("rect", width="8", height="8", class_="tile-face"),
            tag("path", d=strokes, class_="tile-solid" if room == "train" else "tile-strokes"),
            id=f"p-{room}",
            width="8",
            height="8",
            patternUnits="userSpaceOnUse",
        )
        for room, strokes in _PATTERNS.items()
    ]
    clips = [
        tag("clipPath", tag("path", d=_outline(room, SIZES.width, SIZES.height)), id=f"c-{room}") for room in _PATTERNS
    ]
    return tag("defs", tiles, clips)


def _legend(data: ReportData) -> Raw:
    """Rooms with their shapes, then lines and status marks; only what this lineage uses."""
    used = {stage.room if stage.room in ROOMS else "other" for stage in data.stages}
    items = []
    for room, words in {**ROOMS, "other": "other"}.items():
        if room in used:
            path, clip = _outline(room, SIZES.width, SIZES.height), f"url(#c-{room})"
            parts = [
                tag("path", d=path, class_="face"),
                tag("rect", width="13", height=SIZES.height, fill=f"url(#p-{room})", clip_path=clip),
                tag("path", d=path, class_="shape"),
            ]
            box = f"-2 -2 {SIZES.width + 4:g} {SIZES.height + 4:g}"
            icon = tag("svg", parts, viewBox=box, width="58", height="22", aria_hidden="true")
            items.append(tag("li", icon, words, class_=f"room-{room}"))
    for kind, words in (("weights", "weights"), ("data", "data"), ("measure", "measured")):
        line = tag("path", d="M2 10H38", class_=f"edge {kind}")
        items.append(tag("li", tag("svg", line, width="40", height="20", aria_hidden="true"), words))
    for status, (mark, word) in STATUS_MARKS.items():
        if any(stage.status == status for stage in data.stages):
            items.append(tag("li", tag("span", mark, aria_hidden="true", class_="mark"), word))
    return tag("ul", items, class_="legend", aria_label="Legend")


def _panel(stage: StageView, readers: list[str], index: int) -> Raw:
    """Details of one stage, hidden until it is chosen."""
    word = STATUS_MARKS.get(stage.status, ("", stage.status))[1]
    facts = {
        "stage": stage.stage,
        "artifact": stage.kind or "–",
        "status": f"{word}: {stage.reason}" if stage.reason else word,
        "time": duration(stage.seconds),
        "digest": short(stage.digest) or "–",
        "key": short(stage.key) or "–",
    }
    wires = {role: ", ".join(names) for role, names in stage.inputs.items()}
    blocks = [("Params (not default)", stage.params), ("Metrics", stage.metrics), ("Facts", facts), ("Reads", wires)]
    if readers:
        blocks.append(("Read by", {"": ", ".join(readers)}))
    columns = [tag("section", tag("h4", title), pairs(values, limit=40)) for title, values in blocks if values]
    return tag("div", tag("h3", stage.name), tag("div", columns, class_="columns"), id=f"panel-{index}", hidden=True)
