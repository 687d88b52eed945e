"""Wikitext to paragraphs of prose: headings, running text and lists stay; templates, tables, references, files,
categories and interlanguage links go."""

from __future__ import annotations

from collections.abc import Collection

import regex

FILES = frozenset(("file", "image", "media", "category"))
_DROPPED = frozenset(
    [
        "ref",
        "references",
        "table",
        "gallery",
        "math",
        "chem",
        "timeline",
        "score",
        "imagemap",
        "syntaxhighlight",
        "source",
        "pre",
        "code",
        "templatedata",
        "graph",
        "mapframe",
        "maplink",
        "inputbox",
        "categorytree",
        "indicator",
        "templatestyles",
        "hiero",
        "script",
        "style",
        "section",
    ]
)
_LANGUAGE_PREFIX = regex.compile(r"[a-z]{2,3}(-[a-z]{2,8}){0,2}")
_MAGIC_WORD = regex.compile(r"__\p{Lu}{3,40}__")
_EMPTY_BRACKETS = regex.compile(r"[ \t]*[(（][\s,;:/،，、]*[)）]")
_BLANKS = regex.compile(r"[ \t\u00a0]+")


def prose(wikitext: str, namespaces: Collection[str] = FILES) -> str:
    """The text a reader sees as paragraphs, one a line, blank lines between those that the source parts so.

    `namespaces` are the lower-case names whose links are no text (files and categories, in the wiki's own language
    too).
    """
    import mwparserfromhell

    text = _render(mwparserfromhell.parse(wikitext, skip_style_tags=False), FILES | set(namespaces))
    text = _EMPTY_BRACKETS.sub("", _MAGIC_WORD.sub("", text))
    lines = [_BLANKS.sub(" ", line).strip() for line in text.splitlines()]
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip()


def _render(code, namespaces: Collection[str]) -> str:
    return "".join(_node(node, namespaces) for node in code.nodes)


def _node(node, namespaces: Collection[str]) -> str:
    from mwparserfromhell import nodes

    if isinstance(node, nodes.Text):
        return str(node.value)
    if isinstance(node, nodes.Wikilink):
        return _link(node, namespaces)
    if isinstance(node, nodes.Tag):
        name = str(node.tag).strip().lower()
        if name == "br":
            return "\n"
        return "" if name in _DROPPED or node.contents is None else _render(node.contents, namespaces)
    if isinstance(node, nodes.Heading):
        return f"\n\n{_render(node.title, namespaces).strip()}\n\n"
    if isinstance(node, nodes.ExternalLink):
        return _render(node.title, namespaces) if node.brackets and node.title is not None else ""
    if isinstance(node, nodes.HTMLEntity):
        try:
            return node.normalize() or ""
        except (ValueError, OverflowError):
            return ""
    return ""  # templates, arguments of templates, comments


def _link(node, namespaces: Collection[str]) -> str:
    target = str(node.title).strip()
    prefix, colon, _ = target.partition(":")
    name = prefix.strip().lower().replace("_", " ")
    if colon and prefix and (name in namespaces or _LANGUAGE_PREFIX.fullmatch(prefix)):
        return ""
    return _render(node.text, namespaces) if node.text is not None else target.lstrip(":")
