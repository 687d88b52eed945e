"""Folders of HTML files: charsets, URLs from paths, and what is left out."""

import gzip

import pytest
from test_crawl_warc import PAGE, THAI

from sampan.artifacts.documents import read_documents, read_summary
from sampan.core.errors import InputError


@pytest.fixture
def mirror(tmp_path):
    root = tmp_path / "mirror"
    (root / "example.org/ข่าว").mkdir(parents=True)
    (root / "example.org/ข่าว/1.html").write_bytes(
        PAGE.encode("cp874", "replace").replace(b"<title>", b'<meta charset="tis-620"><title>')
    )
    (root / "example.org/2.htm.gz").write_bytes(gzip.compress(PAGE.encode()))
    (root / "example.org/empty.html").write_bytes(b"")
    (root / "example.org/cut.html.gz").write_bytes(gzip.compress(PAGE.encode())[:-20])
    (root / "example.org/bomb.html.gz").write_bytes(gzip.compress(bytes(30_000_000)))
    (root / "example.org/deep.html").write_text("<div>" * 50_000 + THAI)
    (root / "example.org/picture.png").write_bytes(b"\x89PNG")
    return root


def test_pages_with_their_urls(mirror, run_stage):
    metrics, made = run_stage("crawl.html", {"url_prefix": "https://", "license": "CC0"}, {"files": [mirror]})
    by_url = {document.url: document for document in read_documents(made)}
    assert set(by_url) == {
        "https://example.org/2.htm",
        "https://example.org/%E0%B8%82%E0%B9%88%E0%B8%B2%E0%B8%A7/1.html",
    }
    for document in by_url.values():
        assert THAI.strip() in document.text
        assert (document.meta["title"], document.license) == ("ข่าว วันนี้", "CC0")
        assert str(mirror) not in document.id
    dropped = {reason: sum(counts.values()) for reason, counts in read_summary(made)["dropped"].items()}
    assert dropped == {"empty": 1, "damaged": 1, "too_large": 1, "too_deep": 1}
    assert metrics["files"] == 6


def test_the_cut_into_jobs_does_not_show(mirror, run_stage, monkeypatch):
    from sampan.crawl import html_shards

    whole = [d.row() for d in read_documents(run_stage("crawl.html", {}, {"files": [mirror]})[1])]
    monkeypatch.setattr(html_shards, "JOB_FILES", 1)
    assert [d.row() for d in read_documents(run_stage("crawl.html", {}, {"files": [mirror]})[1])] == whole


def test_no_page_is_an_error(tmp_path, run_stage):
    (tmp_path / "x.html").write_text("")
    with pytest.raises(InputError, match="empty"):
        run_stage("crawl.html", {}, {"files": [tmp_path / "x.html"]})
