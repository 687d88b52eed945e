"""Markup that escapes by itself, and numbers as people read them.

`tag` escapes every child that is not already `Raw`, so a name, a parameter or a model's answer can never become markup.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

VOID = {"meta", "link", "wbr", "img", "input"}
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class Raw(str):
    """Text that is markup already."""


def escape(value: Any) -> Raw:
    """Text as markup: `<`, `&`, quotes escaped; characters that HTML cannot hold become U+FFFD."""
    return value if isinstance(value, Raw) else Raw(html.escape(_UNPRINTABLE.sub("\ufffd", str(value))))


def tag(name: str, /, *children: Any, **attributes: Any) -> Raw:
    """An element. `class_` is class, `_` in a name is `-`; None and False leave an attribute out, True leaves it bare.

    Children may be text, numbers, markup, None (nothing) or iterables of these.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        parts.append(key if value is True else f'{key}="{escape(value)}"')
    head = " ".join(parts)
    return Raw(f"<{head}>") if name in VOID else Raw(f"<{head}>{join(*children)}</{name}>")


def join(*children: Any) -> Raw:
    """Children one after the other, escaped."""
    out = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Iterable) and not isinstance(child, str | Mapping):
            out.append(join(*child))
        else:
            out.append(escape(child))
    return Raw("".join(out))


def scroll_table(head: Iterable[Any], rows: Iterable[Iterable[Any]], *, label: str, class_: str = "") -> Raw:
    """A table in its own horizontal scroller; the first cell of each row is its heading and stays in sight.

    Cells are text or ready `<td>` and `<th>` elements.
    """
    top = tag("tr", [_cell(cell, "th", scope="col") for cell in head])
    body = []
    for row in rows:
        first, *rest = row
        body.append(tag("tr", _cell(first, "th", scope="row"), [_cell(cell, "td") for cell in rest]))
    table = tag("table", tag("thead", top), tag("tbody", body), class_=class_ or None)
    return tag("div", table, class_="scroll", role="region", aria_label=label, tabindex="0")


def _cell(cell: Any, name: str, /, **attributes: Any) -> Raw:
    if isinstance(cell, Raw) and cell.startswith(("<td", "<th")):
        return cell
    number = isinstance(cell, int | float) or (isinstance(cell, str) and re.fullmatch(r"[−+]?[\d.,]+( ?%)?", cell))
    text = count(cell) if isinstance(cell, int) else cell
    return tag(name, text, class_="num" if number and name == "td" else None, **attributes)


def figure(title: str, *body: Any, table: Any = None, note: Any = None, class_: str = "") -> Raw:
    """A chart with its title, an optional note, and the same numbers as a table behind a fold."""
    caption = tag("figcaption", tag("h3", title), tag("p", note, class_="note") if note else None)
    fold = tag("details", tag("summary", "Show as a table"), table, class_="alt") if table else None
    return tag("figure", caption, tag("div", *body, class_="chart"), fold, class_=class_ or None)


def count(number: int | float) -> str:
    """12,345."""
    return f"{number:,.0f}".replace("-", "−")


def number(value: Any, digits: int = 4) -> str:
    """A number with about `digits` significant digits, − for minus; other JSON values compactly."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return str(value)
        if value == int(value):
            return count(value) if abs(value) >= 10_000 else f"{value:.0f}".replace("-", "−")
        text = f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"
        return re.sub(r"e([+-])0*", r"e\1", text).replace("e+", "e").replace("-", "−")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def share(part: float, whole: float) -> str:
    """A part as a percentage."""
    return f"{100 * part / whole:.0f} %" if whole else "–"


def duration(seconds: float | None) -> str:
    """4.2 s, 3 min 20 s, 2 h 05 min, 3 d 04 h; – if unknown."""
    if seconds is None:
        return "–"
    if seconds < 0.95:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60:02d} h"


def short(digest: str) -> str:
    """The first eight digits of a digest."""
    return digest.rpartition(":")[2][:8]


def words(name: str, *, title: bool = False) -> str:
    """`bits_per_byte` as `bits per byte`, or `Bits per byte` for a title."""
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:] if title else text


def breakable(name: str) -> Raw:
    """A name that may break after `_`, `.` and `-` where space is short."""
    return Raw("<wbr>".join(escape(part) for part in re.split(r"(?<=[_.-])(?=.)", name)))


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Leaves of nested mappings as (dotted name, value)."""
    out = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            out += flat(value, f"{prefix}{key}.")
        else:
            out.append((f"{prefix}{key}", value))
    return out


def pairs(values: Mapping[str, Any], *, limit: int = 0) -> Raw | None:
    """Names and values as a definition list; `limit` > 0 shows only so many and says how many more there are."""
    items = flat(values)
    if not items:
        return None
    shown = items[:limit] if limit else items
    more = tag("div", f"and {len(items) - len(shown)} more", class_="note") if len(shown) < len(items) else None
    return tag("dl", [tag("div", tag("dt", key), tag("dd", number(value))) for key, value in shown], more, class_="kv")
