"""Members of gzip files unpack to the same bytes, errors and ends with ISA-L as with zlib alone, however damaged."""

from __future__ import annotations

import gzip
import io

import pytest

from sampan.crawl import packed
from sampan.crawl.packed import Archive, Broken
from sampan.crawl.warc_records import WARC

NEXT = gzip.compress(b"WARC/1.0\r\nnext", mtime=0)


def member(level: int) -> bytes:
    """A member with a name in its head, of text that needs codes of many lengths."""
    text = " ".join(f"{n * n % 97:x} word{n % 13}" for n in range(60)).encode()
    buffer = io.BytesIO()
    with gzip.GzipFile("page.html", "wb", level, buffer, 0) as file:
        file.write(b"WARC/1.0\r\nA: b\r\n\r\n" + text)
    return buffer.getvalue()


def reading(path, sizes=(7, 4096)) -> list:
    """All that each member gives, how it ends, and where."""
    found = []
    with Archive(path, mark=WARC.mark, looks=WARC.looks) as archive:
        for one in archive.members(0, archive.size):
            got, end = b"", ""
            try:
                while block := one.read(sizes[bool(got)]):
                    got += block
            except Broken as error:
                end = str(error)
            found.append((one.start, got, end, one.end))
    return found


@pytest.fixture
def both(tmp_path, monkeypatch):
    assert packed.isal_zlib is not None, "isal comes with the extra `kernels`"

    def readings(data: bytes) -> tuple[list, list]:
        path = tmp_path / "pages.warc.gz"
        path.write_bytes(data)
        fast = reading(path)
        with monkeypatch.context() as patch:
            patch.setattr(packed, "isal_zlib", None)
            return fast, reading(path)

    return readings


@pytest.mark.parametrize("level", [0, 1, 9])
def test_every_single_damaged_bit(both, level):
    whole = member(level)
    for place in range(0, len(whole), 1 if level else 9):  # stored bytes are all alike
        for bit in range(8):
            data = bytearray(whole)
            data[place] ^= 1 << bit
            fast, plain = both(bytes(data) + NEXT)
            assert fast == plain, (place, bit)


def test_every_cut(both):
    whole = member(6)
    for size in range(4, len(whole)):
        fast, plain = both(whole[:size])
        assert fast == plain, size


def test_large_members_are_read_in_pieces(both, monkeypatch):
    monkeypatch.setattr(packed, "_WHOLE_BYTES", 100)
    fast, plain = both(member(6) + NEXT)
    assert fast == plain
    assert [end for *_, end in fast] == [len(member(6)), len(member(6) + NEXT)]


def test_sound_members_do_not_need_zlib(both, monkeypatch):
    """Else the tests above would compare zlib with itself."""
    fast, plain = both(member(6) + NEXT)
    assert fast == plain
    monkeypatch.setattr(packed._Gzip, "_unpack_whole", lambda self: pytest.fail("asked for"))
    with pytest.raises(pytest.fail.Exception, match="asked for"):
        both(member(6))
