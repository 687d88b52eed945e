"""Archives that are broken, cut, mis-declared or made to do harm: good records come out, bad ones are counted."""

import gzip
import time
import zlib

import brotli
import pytest
import zstandard
from test_crawl_warc import PAGE, THAI, crawl, record, response

from sampan.artifacts.documents import read_documents, read_summary
from sampan.crawl import archive, packed
from sampan.crawl.archive_shard import open_archive
from sampan.crawl.http import dechunk
from sampan.crawl.record import read_records
from sampan.crawl.warc import Params

GOOD = [response(PAGE.encode(), f"http://x.org/{number}") for number in range(4)]
URLS = [f"http://x.org/{number}" for number in range(4)]
MAX_SECONDS = 5  # the bar of a page


def pack(kind, records):
    if kind == "gz":
        return b"".join(map(gzip.compress, records))
    if kind == "zst":
        return b"".join(map(zstandard.compress, records))
    return b"".join(records)


def zeros(size, before=b"", fill=b"\0", packer=None):
    packer = packer or zlib.compressobj(9, zlib.DEFLATED, 31)
    block = fill * (1 << 20)
    parts = [packer.compress(before), *(packer.compress(block) for _ in range(size >> 20)), packer.flush()]
    return b"".join(parts)


@pytest.mark.parametrize("kind", ["gz", "zst", "plain"])
@pytest.mark.parametrize("case", ["damaged", "cut", "short_length", "long_length", "no_length", "junk"])
def test_a_bad_record_in_the_middle_costs_only_itself(tmp_path, run_stage, kind, case):
    bad = response(PAGE.encode(), "http://x.org/bad")
    length = f"Content-Length: {bad.index(b'</html>') + 7 - bad.index(b'HTTP/1.1')}".encode()
    assert length in bad
    data = {
        "damaged": bad[:300] + b"\xff" * 40 + bad[340:],
        "cut": bad[: len(bad) // 2],
        "short_length": bad.replace(length, b"Content-Length: 50"),
        "long_length": bad.replace(length, b"Content-Length: 9000"),
        "no_length": bad.replace(length, b"X: y"),
        "junk": b"no record\r\n" * 100,
    }[case]
    whole = pack(kind, [data])
    if kind != "plain" and case == "damaged":
        whole = pack(kind, [bad])
        whole = whole[:100] + bytes(40) + whole[140:]
    if kind != "plain" and case == "cut":
        whole = pack(kind, [bad])[:-200]
    path = tmp_path / "a.warc"
    path.write_bytes(pack(kind, GOOD[:2]) + whole + pack(kind, GOOD[2:]))
    _, documents, dropped = crawl(run_stage, path)
    assert [d.url for d in documents if not d.url.endswith("bad")] == URLS
    assert len(documents) + sum(dropped.values()) == 5


CONTENT = {
    "gzip": zeros(96 << 20),
    "nested": gzip.compress(zeros(96 << 20)),
    "br": zeros(
        64 << 20, packer=type("B", (), {"compress": (b := brotli.Compressor(quality=4)).process, "flush": b.finish})
    ),
    "zstd": zeros(96 << 20, packer=zstandard.ZstdCompressor().compressobj()),
}


@pytest.mark.parametrize(
    ("name", "encoding"), [("gzip", "gzip"), ("nested", "gzip, gzip"), ("br", "br"), ("zstd", "zstd")]
)
def test_bodies_that_unpack_without_end(tmp_path, run_stage, name, encoding):
    bad = response(CONTENT[name], "http://x.org/bad", extra=f"Content-Encoding: {encoding}\r\n")
    check_bomb(tmp_path, run_stage, gzip.compress(bad), "too_large")


HEAD = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x.org/bad\r\n"


@pytest.mark.parametrize(
    ("before", "fill"),
    [
        (HEAD + b"Content-Length: 100663296\r\n\r\n", b"\0"),
        (HEAD + b"Content-Length: 100\r\n\r\n", b"\0"),
        (HEAD + b"X: ", b"a"),
        (HEAD, b"a: b\r\n"),
        (b"", b"\n"),
        (b"", b"x"),
    ],
)
def test_members_that_unpack_without_end(tmp_path, run_stage, before, fill):
    check_bomb(tmp_path, run_stage, zeros((96 << 20) // len(fill), before, fill), "bomb")


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("<div>" * 100_000 + THAI, "too_deep"),
        ("<p>a<br>" * 400_000, "too_many_tags"),
    ],
)
def test_pages_that_would_take_hours(tmp_path, run_stage, page, reason):
    bad = response(f"<html><body>{page}</body></html>".encode(), "http://x.org/bad")
    check_bomb(tmp_path, run_stage, gzip.compress(bad), reason)


def check_bomb(tmp_path, run_stage, member, reason):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(pack("gz", GOOD[:2]) + member + pack("gz", GOOD[2:]))
    clock = time.process_time()
    _, documents, dropped = crawl(run_stage, path)
    assert time.process_time() - clock < MAX_SECONDS
    assert [d.url for d in documents] == URLS
    assert dropped == {reason: 1}


def test_ten_megabytes_on_one_line(tmp_path, run_stage):
    page = f"<html><body><p>{'ฝนตก' * 850_000}</p></body></html>".encode()
    assert len(page) > 10_000_000
    path = tmp_path / "a.warc.gz"
    path.write_bytes(pack("gz", [response(page, "http://x.org/line"), *GOOD]))
    clock = time.process_time()
    _, documents, dropped = crawl(run_stage, path, max_page_bytes=20_000_000)
    assert time.process_time() - clock < MAX_SECONDS
    assert len(documents) == 5
    assert not dropped
    assert crawl(run_stage, path)[2] == {"too_large": 1}


def test_a_header_without_end(tmp_path, run_stage):
    bad = record("response", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000, "http://x.org/bad")
    check_bomb(tmp_path, run_stage, gzip.compress(bad), "not_http")


def test_a_record_over_two_members_is_one_record(tmp_path, run_stage):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(pack("gz", [GOOD[0], GOOD[1][:500], GOOD[1][500:], GOOD[2]]))
    _, documents, dropped = crawl(run_stage, path)
    assert [d.url for d in documents] == URLS[:3]
    assert not dropped


def test_one_unreadable_file_among_others_is_counted(tmp_path, run_stage):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.warc.gz").write_bytes(b"\x1f\x8b\x08 broken")
    (folder / "b.warc.gz").write_bytes(pack("gz", GOOD))
    _, documents, dropped = crawl(run_stage, folder)
    assert len(documents) == 4
    assert dropped == {"unreadable_file": 1}


def test_zstd_with_a_dictionary_as_iipc_has_it(tmp_path, run_stage):
    dictionary = zstandard.ZstdCompressionDict(b"".join(GOOD) * 3)
    packer = zstandard.ZstdCompressor(dict_data=dictionary)
    data = dictionary.as_bytes()
    frame = b"\x5d\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data
    path = tmp_path / "a.warc.zst"
    path.write_bytes(frame + b"".join(map(packer.compress, GOOD)))
    assert [d.url for d in crawl(run_stage, path)[1]] == URLS


def arc(url, body, date="20140216050221", version=1):
    more = " 200 - - 0 file.arc.gz" if version == 2 else ""
    return f"{url} 127.0.0.1 {date} text/html{more} {len(body)}\n".encode() + body + b"\n"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("packed", [True, False])
def test_arc(tmp_path, run_stage, version, packed):
    body = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE.encode()
    block = b"1 0 X\nURL IP-address Archive-date Content-type Archive-length\n"
    records = [
        arc("filedesc://a.arc", block, version=1),
        arc("http://x.org/1", body, version=version),
        arc("http://x.org/with a space", body, version=version),
        arc("http://x.org/bad", body, version=version).replace(str(len(body)).encode(), b"99"),
        b"not a record line\n",
        arc("http://x.org/3", body, version=version),
    ]
    path = tmp_path / "a.arc"
    path.write_bytes(pack("gz" if packed else "plain", records))
    _, documents, _ = crawl(run_stage, path)
    assert [d.url for d in documents] == [f"http://x.org/{n}" for n in ("1", "with a space", "bad", "3")]
    assert {d.meta["crawled"] for d in documents} == {"2014-02-16T05:02:21Z"}


@pytest.mark.parametrize("kind", ["gz", "zst", "plain"])
def test_a_file_cut_into_jobs_gives_the_same_documents(tmp_path, run_stage, monkeypatch, kind):
    records = [response((PAGE + str(n)).encode(), f"http://x.org/{n}") for n in range(60)]
    path = tmp_path / "a.warc"
    path.write_bytes(pack(kind, records))
    whole = crawl(run_stage, path)
    jobs = archive.archive_jobs([path], Params(), job_bytes=path.stat().st_size // 7)
    assert len(jobs) >= 5
    monkeypatch.setattr(archive, "archive_jobs", lambda files, params: jobs)
    assert crawl(run_stage, path) == whole


def test_a_cut_inside_a_record_is_found_out(tmp_path, run_stage, monkeypatch):
    """An archive kept inside an archive looks like a beginning, and is none."""
    inner = response(PAGE.encode(), "http://x.org/inner")
    outer = response(b"x" * 3000 + inner * 20 + b"x" * 3000, "http://x.org/outer", "application/warc")
    path = tmp_path / "a.warc"
    path.write_bytes(GOOD[0] + outer + GOOD[1])
    whole = crawl(run_stage, path)
    assert [d.url for d in whole[1]] == URLS[:2]
    jobs = archive.archive_jobs([path], Params(), job_bytes=6000)
    assert len(jobs) > 2
    monkeypatch.setattr(archive, "archive_jobs", lambda files, params: jobs)
    assert crawl(run_stage, path) == whole


def test_chunks():
    assert dechunk(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n") == b"abcde"
    assert dechunk(b"3\r\nabc\r\n9\r\nde") == b"abcde"
    assert dechunk(b"<html>") == b"<html>"
    assert dechunk(b"3\r\nno chunk at all") == b"3\r\nno chunk at all"


TABLE = {
    "archiveorg_299.warc.gz": (
        103,
        {"empty": 1, "http_status": 47, "no_text": 2, "not_html": 79, "not_http": 38, "too_small": 29},
    ),
    "assembled_sea_pages.warc.gz": (67, {}),
    "cc_sample_16.warc.gz": (16, {}),
    "cc_sample_16.warc.lz4": (16, {}),
    "clipped.warc.gz": (0, {"truncated": 1}),
    "clueweb_quirk.warc.gz": (29, {}),
    "govuk_original_and_revisit_2.warc.gz": (6, {"http_status": 1, "not_http": 3, "revisit": 55}),
    "transfer_brotli.warc.gz": (1, {"not_html": 1}),
    "transfer_gzip.warc.gz": (1, {"not_html": 1}),
    "warcio/bad.arc": (0, {"not_http": 3}),
    "warcio/example-bad-non-chunked.warc.gz": (1, {"revisit": 1}),
    "warcio/example-bad.warc.gz.bad": (1, {"http_status": 1, "revisit": 1}),
    "warcio/example-digest.warc": (0, {}),
    "warcio/example-iana.org-chunked.warc": (1, {}),
    "warcio/example-resource.warc.gz": (1, {}),
    "warcio/example-space-in-target-uri.warc.gz": (0, {"not_html": 1}),
    "warcio/example-space-in-url.arc": (1, {}),
    "warcio/example-trunc.warc": (1, {}),
    "warcio/example-wget-bad-target-uri.warc.gz": (1, {"not_html": 1, "too_small": 1}),
    "warcio/example-wrong-chunks.warc.gz": (1, {}),
    "warcio/example.arc": (1, {}),
    "warcio/example.arc.gz": (1, {}),
    "warcio/example.warc": (1, {"revisit": 1}),
    "warcio/example.warc.gz": (1, {"revisit": 1}),
    "warcio/post-test.warc.gz": (0, {"not_html": 3}),
    "wget_urls.warc.gz": (3, {"http_status": 9, "not_html": 5, "too_small": 2}),
    "whirlwind.warc.gz": (1, {}),
    "whirlwind.warc.wet.gz": (1, {}),
}
"""Documents and what is left out of each real file; records by kind agree with FastWARC's reading, where that reads the
file at all."""


@pytest.mark.shared
def test_every_record_of_the_real_files(shared, run_stage):
    root = shared / "data/web/warc"
    found = {}
    for file in sorted(root.rglob("*")):
        name = file.relative_to(root).as_posix()
        if file.is_file() and not name.endswith(".wat.gz"):
            _, made = run_stage("crawl.warc", {}, {"files": [file]})
            summary = read_summary(made)
            dropped = {reason: sum(counts.values()) for reason, counts in summary["dropped"].items()}
            found[name] = (sum(1 for _ in read_documents(made)), dropped)
    assert found == TABLE


@pytest.mark.shared
def test_records_by_kind_agree_with_fastwarc(shared, run_stage):
    from collections import Counter

    from fastwarc.warc import ArchiveIterator

    for name in TABLE:
        if ".arc" in name or "wrong" in name:
            continue
        file = shared / "data/web/warc" / name
        with open(file, "rb") as stream:
            theirs = Counter(str(r.record_type) for r in ArchiveIterator(stream, quirks_mode=True, parse_http=False))
        ours = run_stage("crawl.warc", {}, {"files": [file]})[0]["records"]
        assert ours == dict(theirs), name


def test_lengths_with_thousands_of_digits(tmp_path, run_stage):
    """Python refuses to read a number of more than 4,300 digits: a file must not end there."""
    nines = "9" * 5000
    length = f"Content-Length: {GOOD[0].index(b'</html>') + 7 - GOOD[0].index(b'HTTP/1.1')}".encode()
    assert length in GOOD[0]
    bad = GOOD[0].replace(length, f"Content-Length: {nines}".encode())
    inside = response(PAGE.encode(), "http://x.org/in", extra=f"Content-Length: {nines}\r\n")
    cut = inside.replace(b"Content-Length: ", b"Content-Length: 9", 1)  # then the inner length is asked for
    path = tmp_path / "a.warc"
    path.write_bytes(bad + GOOD[1] + cut + GOOD[2])
    _, documents, dropped = crawl(run_stage, path)
    assert {d.url for d in documents} >= set(URLS[:3])
    assert len(documents) + sum(dropped.values()) == 4


@pytest.mark.parametrize(
    "dictionary",
    [
        zstandard.compress(b"x" * 100)[:-4] + b"\xff" * 9,
        zstandard.compress(bytes(64 << 20)),  # a bomb
        b"\x37\xa4\x30\xec" + b"\xff" * 90,  # the magic of a dictionary, and none
        b"",
    ],
    ids=["damaged", "bomb", "none", "empty"],
)
def test_a_broken_dictionary_costs_its_file_only(tmp_path, run_stage, dictionary):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.warc").write_bytes(GOOD[0])
    frame = b"\x5d\x2a\x4d\x18" + len(dictionary).to_bytes(4, "little") + dictionary
    trained = zstandard.ZstdCompressor(dict_data=zstandard.ZstdCompressionDict(b"HTTP/1.1 200 OK" * 9))
    (tmp_path / "in/b.warc.zst").write_bytes(frame + trained.compress(GOOD[1]))
    _, documents, dropped = crawl(run_stage, tmp_path / "in")
    assert [d.url for d in documents] == URLS[:1]
    assert dropped == {"unreadable_file": 1}


def test_a_length_beyond_the_file_is_not_read_for(tmp_path, monkeypatch):
    """Each of them used to read to the end of the file: a gigabyte of such records would have taken days."""
    one = GOOD[0].replace(b"Content-Length:", b"Content-Length: 99999999999\r\nX:", 1)
    path = tmp_path / "a.warc"
    path.write_bytes(one * 400)
    read = []
    plain = packed._Plain.read
    monkeypatch.setattr(packed._Plain, "read", lambda self, size: read.append(size) or plain(self, size))
    file, form = open_archive(path)
    with file:
        records = [r for m in file.members(0, file.size) for r in read_records(form, m, 1 << 20, file.size)]
    assert [r.mended for r in records] == [True] * 400
    assert sum(read) < 400 * (1 << 18), "some looks ahead a record, whatever the size of the file"
