"""Files at addresses that fsspec reads (https, s3, gs, …), fetched once into the store's cache and known by digest.

    url:https://example.org/pages.warc.gz                     the digest is recorded when the file is first fetched
    url:s3://bucket/rows.parquet#sha256=<64 hex digits>       the digest is given, and nothing else is accepted
    url:s3://bucket/crawl/                                    a folder of all files below it (`away`)
    url:gs://bucket/2024/*.warc.gz                            a folder of the files that match

What was fetched is used from then on without asking again. What has to be fetched anew (a cleared cache) must have the
digest that was recorded or given: a changed address is an error that names it. A folder's digest is that of `dir:`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ..core.errors import InputError, RecipeError
from ..core.identity import digest_text, digest_tree
from .away import WEB, bring, folder_name, is_folder, read_away, told
from .files import disk_errors, read_json, write_atomic
from .store import MANIFEST, Store

_PIN = re.compile(r"(?P<url>[^#]+)#sha256=(?P<digest>[0-9a-f]{64})")


def parse_url(spec: str, *, where: str) -> tuple[str, str]:
    """(address, digest or "") of a `url:` spec; RecipeError if it is not well-formed. Reads nothing."""
    text = spec.removeprefix("url:")
    match = _PIN.fullmatch(text)
    url, digest = (match["url"], match["digest"]) if match else (text, "")
    if "#sha256" in url:
        raise RecipeError("the digest after #sha256= needs 64 hex digits", where=where)
    scheme, _, path = url.partition("://")
    if scheme in WEB and "*" in path.partition("?")[0]:
        raise RecipeError(
            "a web server does not say which files it has, so no pattern can be matched",
            where=where,
            how=f"Name an input for each file, or a bucket; a star in a file's name is %2A: {url}.",
        )
    if not path or _name(url) in ("", ".."):
        raise RecipeError(f"'{url}' is not the address of a file", where=where, how="Write url:https://host/file.")
    return url, digest


def _name(url: str) -> str:
    """The name of the file or folder at an address; of one that is too long for a disk its end, which tells the
    format."""
    parts = urlsplit(url)
    return (folder_name(url) if is_folder(url) else PurePosixPath(parts.path or parts.netloc).name)[-80:]


def _note(path: Path) -> Path:
    """The file that says where the file at `path` comes from: beside its folder, where no name can clash."""
    return path.parent.with_suffix(".json")


def open_remote(spec: str, store: Store, *, where: str) -> tuple[Path, str]:
    """(path in the cache, digest) of a `url:` spec. Without a digest given or recorded it is fetched now."""
    url, given = parse_url(spec, where=where)
    path = store.root / "cache" / "remote" / digest_text(f"{url}\0{given}")[:32] / _name(url)
    note = read_json(_note(path))
    digest = given or (note or {}).get("digest", "")
    if note is None or not digest:
        note = {"url": url, "digest": digest} if digest else _fetch(url, path, store)
        write_atomic(_note(path), json.dumps(note))
    return path, note["digest"]


def fetch_remote(path: Path, digest: str, store: Store) -> None:
    """Fetch what `open_remote` named if `path` is of it and is not here; InputError if the address has changed."""
    note = read_json(_note(path)) if path.is_relative_to(store.root / "cache" / "remote") else None
    if note is None or _is_here(path, note):
        return
    found = _fetch(note["url"], path, store)
    if found["digest"] != digest:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise InputError(
            f"this address serves {'other files' if 'sizes' in found else 'another file'} than before: sha256 "
            f"{found['digest']}, not {digest}{_difference(note.get('sizes'), found.get('sizes'))}",
            where=note["url"],
            how=f"If it is meant, write #sha256={found['digest']} behind it in the recipe.",
        )
    write_atomic(_note(path), json.dumps(found))


def _is_here(path: Path, note: dict[str, Any]) -> bool:
    """Whether the file is here, or all the files of a folder, as large as they were."""
    if not is_folder(note["url"]):
        return path.is_file()
    here = {name: path / name for name in note.get("sizes", ())}
    return bool(here) and all(
        file.is_file() and file.stat().st_size == note["sizes"][name] for name, file in here.items()
    )


def _difference(before: dict[str, int] | None, now: dict[str, int] | None) -> str:
    """What a listing says of a changed folder, where both listings are known."""
    if not before or not now:
        return ""
    told = [
        f"{len(names)} {what} ({', '.join(sorted(names)[:3])}{', …' if len(names) > 3 else ''})"
        for what, names in (("new", now.keys() - before.keys()), ("gone", before.keys() - now.keys()))
        if names
    ]
    return f"; {' and '.join(told)}" if told else ""


def _fetch(url: str, path: Path, store: Store) -> dict[str, Any]:
    """Bring what is at the address to `path`; its note: `url`, `digest` and, of a folder, the files' `sizes`."""
    with disk_errors(store.root):
        if not is_folder(url):
            return {"url": url, "digest": _write(_blocks(url), path, path.parent)[0]}
        sizes = bring(url, path, lambda blocks, here: _write(blocks, here, path.parent)[1])
        return {"url": url, "digest": digest_tree(path, skip=[MANIFEST]), "sizes": sizes}


def _write(blocks: Iterator[bytes | None], path: Path, aside_in: Path) -> tuple[str, int]:
    """Write the whole file or nothing; its digest and size. None among the blocks: what came before counts no more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=aside_in, prefix=".fetching.")
    sha = hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as out:
            for block in blocks:
                if block is None:
                    sha = hashlib.sha256()
                    out.seek(0)
                    out.truncate()
                    continue
                sha.update(block)
                out.write(block)
            size = out.tell()
            out.flush()
            os.fsync(out.fileno())
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    return sha.hexdigest(), size


def _blocks(url: str) -> Iterator[bytes | None]:
    """The bytes at an address, in order, as of `web_blocks`; InputError if it cannot be read to its end."""
    with told(url):
        if url.partition("://")[0] in WEB:
            from .web import web_blocks

            yield from web_blocks(url)
        else:
            import fsspec

            files, path = fsspec.core.url_to_fs(url)
            yield from read_away(files, path, url)
