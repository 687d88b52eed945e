"""Files at addresses that fsspec reads (https, s3, gs, …), fetched once into the store's cache and known by digest.

    url:https://example.org/pages.warc.gz                     the digest is recorded when the file is first fetched
    url:s3://bucket/rows.parquet#sha256=<64 hex digits>       the digest is given, and nothing else is accepted

What was fetched is used from then on without asking again. A file that has to be fetched anew (a cleared cache) must
have the digest that was recorded or given: a changed address is an error that names it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from .. import __version__
from ..core.errors import InputError, RecipeError
from ..core.identity import digest_text
from .files import disk_errors, read_json, write_atomic
from .store import Store

_PIN = re.compile(r"(?P<url>[^#]+)#sha256=(?P<digest>[0-9a-f]{64})")
_CHUNK = 1 << 20
_EXTRAS = {"s3": "remote", "gs": "remote", "gcs": "remote"}


def parse_url(spec: str, *, where: str) -> tuple[str, str]:
    """(address, digest or "") of a `url:` spec; RecipeError if it is not well-formed. Reads nothing."""
    text = spec.removeprefix("url:")
    match = _PIN.fullmatch(text)
    url, digest = (match["url"], match["digest"]) if match else (text, "")
    if "#sha256" in url:
        raise RecipeError("the digest after #sha256= needs 64 hex digits", where=where)
    if "://" not in url or _file_name(url) in ("", ".."):
        raise RecipeError(f"'{url}' is not the address of a file", where=where, how="Write url:https://host/file.")
    return url, digest


def _file_name(url: str) -> str:
    """The name of the file at an address; of one that is too long for a disk its end, which tells the format."""
    parts = urlsplit(url)
    return PurePosixPath(parts.path or parts.netloc).name[-80:]


def _note(path: Path) -> Path:
    """The file that says where the file at `path` comes from: beside its folder, where no name can clash."""
    return path.parent.with_suffix(".json")


def open_remote(spec: str, store: Store, *, where: str) -> tuple[Path, str]:
    """(path in the cache, digest) of a `url:` spec. Without a digest given or recorded the file is fetched now."""
    url, given = parse_url(spec, where=where)
    path = store.root / "cache" / "remote" / digest_text(f"{url}\0{given}")[:32] / _file_name(url)
    note = read_json(_note(path))
    digest = given or (note or {}).get("digest", "")
    if not digest:
        with disk_errors(store.root):
            digest = _download(url, path)
    if note is None:
        write_atomic(_note(path), json.dumps({"url": url, "digest": digest}))
    return path, digest


def fetch_remote(path: Path, digest: str, store: Store) -> None:
    """Fetch the file of `open_remote` if `path` is of one and is not there; InputError if the address has changed."""
    note = read_json(_note(path)) if path.is_relative_to(store.root / "cache" / "remote") else None
    if note is None or path.is_file():
        return
    with disk_errors(store.root):
        found = _download(note["url"], path)
    if found != digest:
        path.unlink()
        raise InputError(
            f"this address serves another file than before: sha256 {found}, not {digest}",
            where=note["url"],
            how=f"If it is meant, write #sha256={found} behind it in the recipe.",
        )


def _download(url: str, path: Path) -> str:
    """Fetch the whole file or nothing, and return its digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".fetching.")
    sha = hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as out:
            for block in _blocks(url):
                sha.update(block)
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    return sha.hexdigest()


def _blocks(url: str) -> Iterator[bytes]:
    """The bytes at an address, in order; InputError if it cannot be read to its end."""
    scheme = url.partition("://")[0]
    try:
        yield from _web_blocks(url) if scheme in ("http", "https") else _filesystem_blocks(url)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        how = f"Run `pip install 'sampan[{extra}]'`." if extra else ""
        raise InputError(f"{scheme}:// needs a library that is not installed ({error})", where=url, how=how) from None
    except Exception as error:  # every file system of fsspec raises its own kinds
        raise InputError(
            f"cannot be fetched ({type(error).__name__}: {str(error)[:200]})",
            where=url,
            how="Check the address, the network and, for a bucket, your credentials.",
        ) from error


def _filesystem_blocks(url: str) -> Iterator[bytes]:
    import fsspec

    with fsspec.open(url, "rb") as file:
        while block := file.read(_CHUNK):
            yield block


def _web_blocks(url: str) -> Iterator[bytes]:
    """As fsspec does it, without the HTTP client that it would have to be given."""
    import urllib.request

    request = urllib.request.Request(url, headers={"User-Agent": f"sampan/{__version__}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        left = int(answer.headers.get("Content-Length") or -1)
        while block := answer.read(_CHUNK):
            left -= len(block)
            yield block
        if left > 0:  # -1 and below: the server did not say how much there is
            raise EOFError(f"{left} bytes are missing")
