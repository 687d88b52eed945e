"""Write the gold set of pages in the region's languages: digests of what an annotator marked, and no text.

    python tools/annotate_region.py SHARED_DATA/web benchmarks/region_gold.json

The annotator reads the numbered blocks of a page (`--show ID`) and writes down which are the main text (`wanted`) and
which may or may not be taken (`allowed`: headline, date, byline, caption) in `region_choices.json`. In the storybooks,
which all have one design, the paragraphs between the title and the credits are the story.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from resiliparse.parse.html import HTMLTree

from sampan.crawl.blocks import TAG_NUMBERS, Layout, scan
from sampan.crawl.gold import GoldPage, letter_digests, read_gold
from sampan.crawl.page import decode

CHOICES = Path(__file__).with_name("region_choices.json")
SETS = ("fundus", "newspaper4k", "article_extraction_benchmark")
STORIES = "storybooks"


def blocks_of(page: GoldPage) -> Layout:
    return scan(HTMLTree.parse(decode(page.payload)[0]).body.html)


def story(layout: Layout) -> tuple[list[str], list[str]]:
    """The paragraphs of a storybook page that are the story, and its title, author and credits."""
    paragraphs = [layout.tag[place] == TAG_NUMBERS["p"] for place in layout.place]
    credits = next(i for i, text in enumerate(layout.texts) if paragraphs[i] and text.count("\n") >= 3 and ":" in text)
    wanted = [text for text, is_p in zip(layout.texts[:credits], paragraphs, strict=False) if is_p]
    return wanted, [*layout.texts[:2], layout.texts[credits]]


def chosen(layout: Layout, ranges: list[list[int]]) -> list[str]:
    return [layout.texts[block] for first, last in ranges for block in range(first, last + 1)]


def digests(texts: list[str]) -> list[str]:
    found = letter_digests("".join(texts)).union(*map(letter_digests, texts)) if texts else set()
    return sorted(f"{digest:016x}" for digest in found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("web", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--show", help="print the numbered blocks of this page instead")
    options = parser.parse_args()
    choices = json.loads(CHOICES.read_text("utf-8"))
    gold = {}
    for name in (*SETS, STORIES):
        for page in read_gold(options.web / name):
            if options.show:
                if page.id == options.show:
                    print(*enumerate(blocks_of(page).texts), sep="\n")
                continue
            layout = blocks_of(page)
            if name == STORIES and page.held_out:
                wanted, allowed = story(layout)
            elif page.id in choices:
                wanted, allowed = (chosen(layout, choices[page.id][kind]) for kind in ("wanted", "allowed"))
            else:
                continue
            row = {
                "set": name,
                "language": page.language,
                "paragraphs": len(wanted),
                "characters": sum(map(len, wanted)),
            }
            gold[page.id] = row | {"wanted": digests(wanted), "allowed": digests(allowed)}
    if options.out:
        rows = ",\n".join(f"{json.dumps(key)}: {json.dumps(row, ensure_ascii=False)}" for key, row in gold.items())
        options.out.write_text("{\n" + rows + "\n}\n", "utf-8")
        print(len(gold), "pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
