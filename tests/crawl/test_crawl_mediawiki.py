"""Dumps written by hand, in Thai and Khmer: prose in, markup out, broken XML counted, entities refused."""

import bz2
import gzip
import random
import time

import pytest

from sampan.artifacts.documents import read_documents, read_summary
from sampan.core.errors import InputError
from sampan.crawl.wikitext import prose
from sampan.crawl.wikitext_work import tangled

SITE = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="{language}"><siteinfo>
<sitename>W</sitename><dbname>{language}wiki</dbname><base>https://{language}.wikipedia.org/wiki/Main_Page</base>
<namespaces><namespace key="0" case="first-letter" /><namespace key="6" case="first-letter">{file}</namespace>
<namespace key="14" case="first-letter">{category}</namespace></namespaces></siteinfo>
"""
THAI = """{{กล่องข้อมูล|ชื่อ={{PAGENAME}}|แผนที่=[[ไฟล์:แผนที่.png]]}}
'''เชียงใหม่''' ({{lang-en|Chiang Mai}}) เป็น[[จังหวัด]]ใน[[ประเทศไทย|ไทย]]&lt;ref name="a"&gt;อ้างอิง [[x]]&lt;/ref&gt;
[[ไฟล์:ดอย.jpg|thumb|คำบรรยายภาพ [[ดอย]]]]
{| class="wikitable"
| ตาราง || ข้อมูล
|}
== ประวัติศาสตร์ ==
เมืองนี้สร้างเมื่อ พ.ศ. 1839&lt;!-- ความเห็น --&gt;
* ข้อหนึ่ง
* [http://example.org ข้อสอง]
__NOTOC__
[[หมวดหมู่:จังหวัด]]
[[en:Chiang Mai]]"""
KHMER = "'''ភ្នំពេញ''' គឺជា[[រដ្ឋធានី]]នៃ[[កម្ពុជា|ប្រទេសកម្ពុជា]]។\n[[ចំណាត់ថ្នាក់ក្រុម:ទីក្រុង]]"


def page(title, text, number=1, ns=0, redirect=False):
    mark = '<redirect title="x" />' if redirect else ""
    return (
        f"<page><title>{title}</title><ns>{ns}</ns><id>{number}</id>{mark}<revision><id>99</id>"
        f"<timestamp>2024-01-02T03:04:05Z</timestamp><text bytes='1'>{text}</text></revision></page>\n"
    )


def thai(*pages):
    return SITE.format(language="th", file="ไฟล์", category="หมวดหมู่") + "".join(pages) + "</mediawiki>"


def crawl(run_stage, path, **params):
    metrics, made = run_stage("crawl.mediawiki", params, {"files": [path]})
    dropped = {reason: sum(counts.values()) for reason, counts in read_summary(made)["dropped"].items()}
    return metrics, list(read_documents(made)), dropped


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress)])
def test_a_thai_dump(tmp_path, run_stage, suffix, pack):
    pages = [
        page("เชียง ใหม่", THAI),
        page("เก่า", "#เปลี่ยนทาง [[เชียงใหม่]]", 2, redirect=True),
        page("แม่แบบ:x", "text", 3, ns=10),
        page("ว่าง", "{{โครง}}", 4),
        page("ใหญ่", "ก" * 500_000, 5),
        page("ยุ่ง", "&lt;b&gt;" * 20_000, 6),
        page("ยุ่ง", "[http://" * 20_000, 7),
    ]
    path = tmp_path / f"dump.xml{suffix}"
    path.write_bytes(pack(thai(*pages).encode()))
    metrics, (document,), dropped = crawl(run_stage, path, max_page_bytes=400_000)
    assert document.text == ("เชียงใหม่ เป็นจังหวัดในไทย\n\nประวัติศาสตร์\n\nเมืองนี้สร้างเมื่อ พ.ศ. 1839\nข้อหนึ่ง\nข้อสอง")
    assert (document.language, document.id) == ("tha_Thai", "thwiki/1")
    assert document.url.startswith("https://th.wikipedia.org/wiki/%E0%B9%80")
    assert document.url.count("_") == 1
    assert document.meta == {"title": "เชียง ใหม่", "date": "2024-01-02T03:04:05Z"}
    assert dropped == {"redirect": 1, "other_namespace": 1, "no_text": 1, "too_large": 1, "tangled_markup": 2}
    assert metrics["pages"] == {"namespace 0": 6, "namespace 10": 1}


def test_a_khmer_dump(tmp_path, run_stage):
    path = tmp_path / "km.xml"
    site = SITE.format(language="km", file="ឯកសារ", category="ចំណាត់ថ្នាក់ក្រុម")
    path.write_text(site + page("ភ្នំពេញ", KHMER) + "</mediawiki>", encoding="utf-8")
    _, (document,), _ = crawl(run_stage, path, license="CC-BY-SA-4.0")
    assert document.text == "ភ្នំពេញ គឺជារដ្ឋធានីនៃប្រទេសកម្ពុជា។"
    assert (document.language, document.license) == ("khm_Khmr", "CC-BY-SA-4.0")


def test_a_dump_that_breaks_off_keeps_what_came_before(tmp_path, run_stage):
    filler = "".join(
        random.Random(0).choices("กขคงจฉชซ", k=200_000)
    )  # so that the first page is unpacked before the cut
    data = gzip.compress(thai(page("ก", "หน้าแรก"), page("ข", filler, 2), page("ค", filler, 3)).encode(), 1)
    path = tmp_path / "dump.xml.gz"
    path.write_bytes(data[: len(data) // 2])
    _, documents, dropped = crawl(run_stage, path)
    assert documents[0].text == "หน้าแรก"
    assert dropped == {"truncated": 1}
    path = tmp_path / "bad.xml"
    path.write_text(thai(page("ก", "หน้าแรก"), "<page><title>x</page>"), encoding="utf-8")
    _, documents, dropped = crawl(run_stage, path)
    assert dropped == {"broken_xml": 1}


def test_entities_of_ones_own_are_refused(tmp_path, run_stage):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    path = tmp_path / "bomb.xml"
    path.write_text(bomb + thai(page("ก", "&b;")), encoding="utf-8")
    with pytest.raises(InputError, match="no page"):
        crawl(run_stage, path)


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("a<br>b", "a\nb"),
        ("''[[:Category:Towns|towns]]'' &amp; [[File:x.png]]", "towns &"),
        ("<div>in <span>side</span></div><math>x^2</math>", "in side"),
        ("{{unclosed", "{{unclosed"),
        ("[[unclosed", "[[unclosed"),
        ("[[zh-min-nan:X]][[w:en:X|seen]]", "seen"),
        ("{{" * 3000, "{{" * 3000),
    ],
)
def test_wikitext(wikitext, text):
    assert prose(wikitext) == text


HOSTILE_WIKITEXT = {
    "templates left open": "{{a|b" * 4000,
    "tables left open": "{|\n|a\n" * 4000,
    "comments left open": "<!-- " * 20_000,
    "end marks in comments": "{{a|b<!-- }} -->" * 4000,
    "end marks in raw text": "{{a|b<nowiki>}}</nowiki>" * 4000,
    "end marks before": "}}" * 4000 + "{{a|" * 4000,
    "quotes left open": '<b a="' * 9000,
    "elements": "<b>" * 20_000,
    "addresses on a line": "http://a.b/c " * 40_000,
    "raw text left open": "<nowiki>" * 200_000,
    "list marks": "*:#" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE_WIKITEXT)
def test_hostile_wikitext_is_told_before_it_is_parsed(name):
    clock = time.process_time()
    assert tangled(HOSTILE_WIKITEXT[name])
    assert time.process_time() - clock < 2  # each took 0.1 s at the most; the parser takes 2 s to hours


def test_large_honest_wikitext_is_parsed():
    row = "|-\n| [[a|b]] || {{flag|c}} || {{d|[[e]]|f={{g}}}}\n"
    article = f"<!-- }}}} -->{{|\n{row * 1500}|}}\n" + "* ''x'' <ref name=a>[http://a.b c]</ref><ref name=b />\n" * 1500
    assert not tangled(article + "an interval [0, 1) and {{ a template left open" + "<br>\n" * 500)


def multistream(pages, size: int = 5) -> list[bytes]:
    """The streams of a dump: the site, `size` pages each, and the end."""
    groups = ["".join(pages[first : first + size]) for first in range(0, len(pages), size)]
    site = SITE.format(language="th", file="ไฟล์", category="หมวดหมู่")
    return [bz2.compress(text.encode()) for text in (site, *groups, "</mediawiki>")]


def numbered(count: int) -> list[str]:
    dice = random.Random(0)
    return [page(f"ก{n}", "".join(dice.choices("กขคงจฉชซ", k=300)), n) for n in range(count)]


@pytest.fixture
def small_jobs(monkeypatch):
    from sampan.crawl import mediawiki_shards

    monkeypatch.setattr(mediawiki_shards, "JOB_BYTES", 1000)


def test_a_multistream_dump_is_read_in_spans_and_holds_the_same(tmp_path, run_stage, small_jobs):
    from sampan.crawl.mediawiki_streams import stream_spans

    pages = numbered(61)
    path, plain = tmp_path / "dump.xml.bz2", tmp_path / "dump.xml"
    path.write_bytes(b"".join(multistream(pages)))
    plain.write_text(thai(*pages), encoding="utf-8")
    spans = stream_spans(path, 1000)
    assert len(spans) > 5
    assert spans[-1][1] == path.stat().st_size
    metrics, documents, dropped = crawl(run_stage, path)
    assert documents == crawl(run_stage, plain)[1]
    assert (len(documents), dropped, metrics["pages"]) == (61, {}, {"namespace 0": 61})
    assert documents[0].url.startswith("https://th.wikipedia.org/wiki/")


@pytest.mark.parametrize("where", ["middle", "head"])
def test_a_damaged_stream_costs_its_own_pages(tmp_path, run_stage, small_jobs, where):
    """A flipped bit in the middle of a stream, and a stream whose first bytes are gone."""
    streams = multistream(numbered(60))
    if where == "middle":
        spoiled = bytearray(streams[4])
        spoiled[len(spoiled) // 2] ^= 16
        streams[4] = bytes(spoiled)
    else:
        streams[4] = streams[4][20:]
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(b"".join(streams))
    _, documents, dropped = crawl(run_stage, path)
    assert [d.meta["title"] for d in documents] == [f"ก{n}" for n in range(60) if not 15 <= n < 20]
    assert dropped == {"truncated": 1}


def test_a_multistream_dump_that_ends_early_keeps_what_came_before(tmp_path, run_stage, small_jobs):
    path = tmp_path / "dump.xml.bz2"
    whole = multistream(numbered(60))
    path.write_bytes(b"".join(whole[:9]) + whole[9][:-30])
    _, documents, dropped = crawl(run_stage, path)
    assert (len(documents), dropped) == (40, {"truncated": 1})


def test_one_stream_is_not_cut(tmp_path, run_stage, small_jobs):
    """Neither a plain .bz2 nor one whose streams end within pages, as parallel compressors make them."""
    pages = numbered(60)
    text = thai(*pages).encode()
    for name, data in {
        "one.xml.bz2": bz2.compress(text),
        "blocks.xml.bz2": b"".join(bz2.compress(text[first : first + 5000]) for first in range(0, len(text), 5000)),
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert len(crawl(run_stage, path)[1]) == 60
