"""Take the tutorial's pictures from a report: `python docs/pictures.py village.html` (needs Chromium, playwright)."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

OUT = Path(__file__).resolve().parent / "images"
WIDTH = 1100
MAX_HEIGHT = 900
PICTURES = {
    "headline": "#top",
    "graph": "#graph",
    "scores": "#scores figure, #scores .board, #scores .scroll",
    "fertility": "#fertility .chart",
    "corpus": "#corpus .chart",
    "training": "#training",
    "answers": "#answers article",
}


def main(report: Path) -> None:
    from playwright.sync_api import sync_playwright

    OUT.mkdir(exist_ok=True)
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": WIDTH, "height": MAX_HEIGHT}, offline=True).new_page()
        page.goto(report.resolve().as_uri())
        for name, selector in PICTURES.items():
            page.evaluate("window.scrollTo(0, 0)")
            box = page.locator(selector).first.bounding_box()
            clip = {"x": box["x"], "y": box["y"], "width": box["width"], "height": min(box["height"], MAX_HEIGHT)}
            page.screenshot(path=OUT / f"{name}.png", clip=clip, full_page=True)
            print(OUT / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
