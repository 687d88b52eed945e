"""Web archives written by hand, record by record, whole and broken."""

import gzip
import zlib

import pytest

from sampan.artifacts.documents import read_documents, read_summary
from sampan.core.errors import InputError
from sampan.crawl.page import decode, is_html

THAI = "ฝนตกหนักตั้งแต่เช้า ชาวบ้านจึงย้ายตลาดเข้าไปในศาลาวัด " * 5
PAGE = (
    "<html><head><title>ข่าว วันนี้</title></head><body><nav><a href=/>Home</a> <a href=/n>News</a></nav>"
    f"<main><article><p>{THAI}</p><p>{THAI}</p></article></main><footer>© 2024</footer></body></html>"
)


def record(kind, body, url="http://example.org/", content_type="application/http; msgtype=response", **headers):
    lines = [f"WARC-Type: {kind}", f"WARC-Target-URI: {url}", "WARC-Date: 2024-05-01T00:00:00Z"]
    lines += [f"WARC-Record-ID: <urn:uuid:{zlib.crc32(url.encode() + body):032x}>", f"Content-Type: {content_type}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join(["WARC/1.0", *lines, f"Content-Length: {len(body)}"])
    return head.encode() + b"\r\n\r\n" + body + b"\r\n\r\n"


def response(body, url="http://example.org/", content_type="text/html", status="200 OK", extra=""):
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{extra}\r\n"
    return record("response", head.encode() + body, url)


def write(path, records, *, packed=True):
    path.write_bytes(b"".join(map(gzip.compress, records)) if packed else b"".join(records))
    return path


def crawl(run_stage, path, **params):
    metrics, made = run_stage("crawl.warc", params, {"files": [path]})
    dropped = {reason: sum(counts.values()) for reason, counts in read_summary(made)["dropped"].items()}
    return metrics, list(read_documents(made)), dropped


@pytest.mark.parametrize("extractor", ["resiliparse", "trafilatura"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_page(tmp_path, run_stage, extractor, packed):
    if extractor == "trafilatura":
        pytest.importorskip("trafilatura", exc_type=ImportError)
    path = write(tmp_path / "a.warc", [response(PAGE.encode(), "http://x.org/ข่าว")], packed=packed)
    _, (document,), dropped = crawl(run_stage, path, extractor=extractor)
    assert THAI.strip() in document.text
    assert "Home" not in document.text
    assert (document.url, document.meta["title"]) == ("http://x.org/ข่าว", "ข่าว วันนี้")
    assert document.meta["crawled"] == "2024-05-01T00:00:00Z"
    assert not dropped


def test_what_a_page_says_of_itself_goes_into_the_document(tmp_path, run_stage, monkeypatch):
    head = '<meta property="article:published_time" content="2019-01-18"><link rel="canonical" href="http://x.org/1">'
    page = PAGE.replace("<title>", head + "<title>").replace("<html", '<html lang="th"', 1)
    path = write(tmp_path / "a.warc", [response(page.encode(), "http://x.org/1?ref=2")])
    metrics, (document,), _ = crawl(run_stage, path)
    said = {key: document.meta[key] for key in ("date", "declared_language", "canonical", "charset")}
    assert said == {"date": "2019-01-18", "declared_language": "th", "canonical": "http://x.org/1", "charset": "utf-8"}
    assert "cut" not in document.meta
    assert metrics["cut"] == 0
    monkeypatch.setattr("sampan.crawl.page.MAX_CHARACTERS", page.index("</body>"))
    metrics, (document,), _ = crawl(run_stage, path)
    assert document.meta["cut"] == "yes"
    assert metrics["cut"] == 1


def test_every_reason_is_counted_and_nothing_is_fatal(tmp_path, run_stage):
    page = PAGE.encode()
    records = [
        record("warcinfo", b"software: test\r\n", content_type="application/warc-fields"),
        response(page, "http://x.org/kept"),
        record("revisit", b"HTTP/1.1 200 OK\r\n\r\n", "http://x.org/revisit"),
        response(page, "http://x.org/404", status="404 Not Found"),
        response(b"\x89PNG" + bytes(200), "http://x.org/p.png", "image/png"),
        response(b"", "http://x.org/empty"),
        response(b"<html>", "http://x.org/small"),
        response(page + b" " * 200_000, "http://x.org/large"),
        response(b"<html><body>" + b"<script>x()</script>" * 20 + b"</body></html>", "http://x.org/script"),
        record("conversion", THAI.encode(), "http://x.org/wet", "text/plain"),
    ]
    metrics, documents, dropped = crawl(run_stage, write(tmp_path / "a.warc.gz", records), max_page_bytes=100_000)
    assert [d.url[13:] for d in documents] == ["kept", "wet"]
    reasons = ["revisit", "http_status", "not_html", "empty", "too_small", "too_large", "no_text"]
    assert dropped == dict.fromkeys(reasons, 1)
    assert sum(metrics["records"].values()) == len(records)


def test_a_stream_that_breaks_off_keeps_what_came_before(tmp_path, run_stage):
    whole, last = gzip.compress(response(PAGE.encode(), "http://x.org/1")), gzip.compress(response(PAGE.encode() * 20))
    path = tmp_path / "cut.warc.gz"
    path.write_bytes(whole + last[: len(last) // 2])
    _, documents, dropped = crawl(run_stage, path)
    assert [d.url for d in documents] == ["http://x.org/1"]
    assert dropped == {"truncated": 1}


@pytest.mark.parametrize("error", [ValueError, LookupError, TypeError, UnicodeError])
def test_a_record_that_cannot_be_parsed_does_not_end_the_file(tmp_path, run_stage, monkeypatch, error):
    from sampan.crawl import archive_shard

    as_utf8 = archive_shard.as_utf8

    def breaks_once(payload):
        if b"BAD" in payload:
            raise error("nonsense")
        return as_utf8(payload)

    monkeypatch.setattr(archive_shard, "as_utf8", breaks_once)
    pages = [(PAGE, "1"), (PAGE + "BAD", "2"), (PAGE, "3")]
    records = [response(page.encode(), f"http://x.org/{name}") for page, name in pages]
    _, documents, dropped = crawl(run_stage, write(tmp_path / "a.warc.gz", records))
    assert [d.url for d in documents] == ["http://x.org/1", "http://x.org/3"]
    assert dropped == {"unparsable": 1}


def test_a_wrong_content_encoding_spoils_no_page(tmp_path, run_stage):
    page = PAGE.encode()
    records = [
        response(page, "http://x.org/lies", extra="Content-Encoding: gzip\r\n"),
        response(gzip.compress(page), "http://x.org/true", extra="Content-Encoding: gzip\r\n"),
        response(page, "http://x.org/unchunked", extra="Transfer-Encoding: chunked\r\n"),
        response(
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(page), page), "http://x.org/chunked", extra="Transfer-Encoding: chunked\r\n"
        ),
        response(page, "http://x.org/after"),
    ]
    _, documents, dropped = crawl(run_stage, write(tmp_path / "a.warc.gz", records))
    assert not dropped
    assert len({d.text for d in documents}) == 1
    assert len(documents) == 5


@pytest.mark.parametrize("content", [b"", b"this is no archive at all\n" * 30, b"\x1f\x8b\x08broken"])
def test_an_unreadable_file_is_named(tmp_path, run_stage, content):
    path = tmp_path / "bad.warc.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.warc\.gz.*no record"):
        crawl(run_stage, path)


@pytest.mark.parametrize(
    ("encoding", "header", "text"),
    [
        ("utf-8", "", THAI),
        ("utf-8", "windows-1252", THAI),
        ("tis-620", "tis-620", THAI),
        ("cp874", "TIS-620", f"“{THAI}”"),
        ("gb18030", "gb2312", "镕基先生昨天在村里的市场上买了三斤鱼。" * 5),
        ("cp1258", "windows-1258", "Tôi đi cho\u0323 mua ba cân cá." * 5),
        ("utf-16", "", "The ferry leaves at six."),
    ],
)
def test_decoding(encoding, header, text):
    assert decode(text.encode(encoding), header)[0] == text


def test_charset_of_the_page_itself_is_read():
    html = f'<html><head><meta charset="tis-620"></head><body>{THAI}</body></html>'
    assert decode(html.encode("cp874"))[0] == html


def test_html_without_a_type_is_found():
    assert is_html("", b"\n<!DOCTYPE html><p>hi")
    assert is_html("application/octet-stream", b"<html lang=th>")
    assert is_html("text/html; charset=utf-8", b"anything")
    assert not is_html("application/javascript", b"<html>")
    assert not is_html("", b"\x89PNG")


@pytest.mark.shared
def test_real_archives(shared, run_stage):
    folder = shared / "data/web/warc"
    _, documents, _ = crawl(run_stage, folder / "assembled_sea_pages.warc.gz")
    assert len(documents) == 67
    # one page was published with the bytes of a name already lost
    assert sum("\ufffd" in d.text for d in documents) <= 1
    assert crawl(run_stage, folder / "clipped.warc.gz")[2] == {"truncated": 1}
    assert len(crawl(run_stage, folder / "clueweb_quirk.warc.gz")[1]) == 29
    plain, packed = (crawl(run_stage, folder / f"cc_sample_16.warc.{s}")[1] for s in ("gz", "lz4"))
    assert [d.text for d in plain] == [d.text for d in packed]
    assert crawl(run_stage, folder / "govuk_original_and_revisit_2.warc.gz")[2]["revisit"] == 55


def test_records_are_chosen_by_the_languages_they_declare(tmp_path, run_stage):
    thai = PAGE.replace("<html", '<html lang="th"', 1).encode()
    records = [
        record(
            "conversion", THAI.encode(), "http://x.org/wet", "text/plain", WARC_Identified_Content_Language="tha,eng"
        ),
        record("conversion", THAI.encode(), "http://x.org/wet2", "text/plain", WARC_Identified_Content_Language="deu"),
        response(PAGE.encode(), "http://x.org/header", extra="Content-Language: th-TH\r\n"),
        response(PAGE.encode(), "http://x.org/header2", extra="Content-Language: en, de\r\n"),
        response(thai, "http://x.org/tag"),
        response(thai.replace(b'"th"', b'"en"'), "http://x.org/tag2"),
        response(PAGE.encode(), "http://x.org/silent"),
    ]
    path = write(tmp_path / "a.warc", records)
    _, documents, dropped = crawl(run_stage, path, languages=["th"])
    declared = {document.url[13:]: document.meta.get("declared_language") for document in documents}
    assert declared == {"wet": "tha,eng", "header": "th-TH", "tag": "th", "silent": None}
    assert dropped == {"unwanted_language": 3}
    assert len(crawl(run_stage, path)[1]) == 7
