"""The whole page: sections in reading order, one inlined style sheet and script, nothing fetched from anywhere.

A content security policy allows this very script and no other, and no connection at all.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from ...artifacts.licenses import license_class
from . import (
    charts,
    contamination,
    funnel,
    graph,
    headline,
    judged,
    ledger,
    profiles,
    records,
    reference,
    samples,
    scoreboard,
    variants,
)
from .data import INPUT, ReportData, completed
from .graph import STATUS_MARKS
from .markup import Raw, breakable, duration, join, pairs, scroll_table, short, tag


def render(data: ReportData) -> str:
    """The report as one HTML document. Equal data give equal text; ValueError if the lineage has a cycle."""
    data = completed(data)
    made = scoreboard.boards(data)
    parts = [(key, title, body) for key, title, body in _sections(data, made) if body]
    links = [tag("li", tag("a", title, href=f"#{key}")) for key, title, _ in parts]
    sections = [tag("section", tag("h2", title), body, id=key, class_="part") for key, title, body in parts]
    body = tag(
        "body",
        tag("a", "Skip to the report", href="#main", class_="skip"),
        charts.fill_patterns(),
        headline.headline(data, made),
        tag("nav", tag("ul", links), aria_label="Sections"),
        tag("main", sections, id="main"),
        tag("footer", tag("p", "Made by Sampan. This page is one file and loads nothing.")),
        tag("script", Raw(_asset("report.js"))),
    )
    return f"<!doctype html>\n{tag('html', _head(data), body, lang='en')}\n"


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _head(data: ReportData) -> Raw:
    script = base64.b64encode(hashlib.sha256(_asset("report.js").encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script}'; img-src data:"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{data.recipe} · lineage report"),
        tag("link", rel="icon", href="data:,"),
        tag("style", Raw(_asset("report.css"))),
    )


def _sections(data: ReportData, made: list[scoreboard.Board]) -> list[tuple[str, str, Raw | None]]:
    """(anchor, title, body) in reading order; a body of None is left out."""
    if made:
        board = scoreboard.section(data, made)
    else:
        board = tag("p", "No model has been evaluated yet.", class_="empty")
    answers = samples.cards(data)
    shown = tag("p", "The same prompts, answered by every model in lineage order.", class_="note")
    curves = charts.curves(data)
    packed = charts.token_shards(data)
    corpus = (
        funnel.charts(data),
        tag("div", packed, class_="cards") if packed else None,
        charts.pictures(data, "corpus"),
    )
    drawn = charts.pictures(data, "train")
    return [
        ("lineage", "Lineage", graph.lineage(data) if data.stages else tag("p", "No stages.", class_="empty")),
        ("scores", "Scoreboard", board),
        ("variants", "Variants", variants.section(data)),
        ("suites", "Published suites", profiles.section(data)),
        ("judged", "Judged answers", join(judged.section(data), charts.pictures(data, "evals")) or None),
        ("ledger", "Taught and forgotten", ledger.section(data)),
        ("contamination", "Contamination", contamination.section(data)),
        ("published", "Published figures", reference.section(data)),
        ("fertility", "Fertility", join(charts.fertility(data), charts.pictures(data, "vocab")) or None),
        ("corpus", "Corpus", join(*corpus) or None),
        ("training", "Training", join(tag("div", curves, class_="cards") if curves else None, drawn) or None),
        ("merges", "Merges", join(_merges(data), charts.pictures(data, "merge")) or None),
        ("answers", "Answers", join(shown, answers) if answers else None),
        ("items", "Items", records.section(data)),
        ("stages", "Stages", _stages(data)),
        ("reproduce", "Reproduce", _reproduce(data)),
    ]


def _merges(data: ReportData) -> Raw | None:
    """What each merge read, how, and what it measured."""
    rows = [
        [
            tag("th", breakable(stage.name), tag("small", breakable(stage.stage)), scope="row"),
            ", ".join(f"{role}: {', '.join(names)}" for role, names in stage.inputs.items()),
            pairs(stage.params) or "–",
            pairs(stage.metrics) or "–",
        ]
        for stage in data.stages
        if stage.room == "merge"
    ]
    return scroll_table(["Merge", "Reads", "Params (not default)", "Metrics"], rows, label="Merges") if rows else None


def _stages(data: ReportData) -> Raw | None:
    rows = []
    for index, stage in enumerate(data.stages):
        mark, word = STATUS_MARKS.get(stage.status, ("", stage.status))
        status = tag(
            "td", tag("span", f"{mark} {word}", class_="status"), tag("small", stage.reason) if stage.reason else None
        )
        digests = [
            tag("small", label, " ", tag("code", short(value), title=value))
            for label, value in (("bytes", stage.digest), ("key", stage.key))
            if value
        ]
        rows.append(
            [
                tag(
                    "th", breakable(stage.name), tag("small", breakable(stage.stage)), scope="row", id=f"stage-{index}"
                ),
                status,
                tag("td", duration(stage.seconds), class_="num"),
                pairs(stage.params) or "–",
                ", ".join(stage.licenses) or "–",
                tag("td", digests or "–", class_="digests"),
                stage.code_version or "–",
            ]
        )
    head = ["Stage", "Status", "Time", "Params (not default)", "Licences", "Digests", "Code"]
    return scroll_table(head, rows, label="Stages", class_="stages") if rows else None


def _with_class(license: str) -> str:
    return f"{license} ({license_class(license)})"


def _reproduce(data: ReportData) -> Raw:
    recipe = data.recipe_file or data.recipe
    commands = data.commands or tuple(f"sampan {verb} {recipe}" for verb in ("plan", "run", "report"))
    inputs = {stage.name: short(stage.digest) for stage in data.stages if stage.stage == INPUT and stage.digest}
    facts = {
        **({"recipe digest": short(data.recipe_digest)} if data.recipe_digest else {}),
        **{name: ", ".join(found) for name, found in data.versions.items()},
    }
    licences = sorted({name for stage in data.stages for name in stage.licenses})
    text = tag("details", tag("summary", "The resolved recipe"), tag("pre", tag("code", data.recipe_text)))
    blocks = [("Versions", facts), ("Inputs from outside, by digest", inputs)]
    columns = [tag("section", tag("h3", title), pairs(values)) for title, values in blocks if values]
    if licences:
        columns.append(
            tag("section", tag("h3", "Licences in this lineage"), tag("p", ", ".join(map(_with_class, licences))))
        )
    return join(
        tag("p", "One command builds what is missing and reuses the rest; equal inputs and params give the same keys."),
        tag("pre", tag("code", "\n".join(commands)), tabindex="0"),
        tag("div", columns, class_="columns"),
        text if data.recipe_text else None,
    )
