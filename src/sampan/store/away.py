"""Folders and patterns in a bucket or another file system of fsspec: which files there are, and bringing them here.

    s3://bucket/crawl/                    all files below it
    gs://bucket/2024/**/*.parquet         those that match: `*` within a folder, `**` across folders

Each file is brought whole or not at all, several at a time. One that is here with the size that the listing says is not
brought again, so that a fetch which was cut off goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from ..core.errors import InputError
from ..core.identity import tree_files

WEB = ("http", "https")
"""Schemes of servers that do not say which files they have."""
_EXTRAS = {"s3": "remote", "gs": "remote", "gcs": "remote"}
_AT_ONCE = 8
_CHUNK = 1 << 20
_MAGIC = "*?["


def is_folder(url: str) -> bool:
    """Whether an address means all files below it or that match it, and not one file."""
    return url.partition("://")[0] not in WEB and (url.endswith("/") or is_pattern(url))


def is_pattern(url: str) -> bool:
    return any(char in url for char in _MAGIC)


def folder_name(url: str) -> str:
    """The last name of an address that no pattern is in; the bucket's if there is no other."""
    return PurePosixPath(_fixed(url.partition("://")[2])).name


@contextmanager
def told(url: str) -> Iterator[None]:
    """InputError that names the address for whatever a file system raises: each has its own kinds."""
    try:
        yield
    except InputError:
        raise
    except ImportError as error:
        scheme = url.partition("://")[0]
        extra = _EXTRAS.get(scheme)
        how = f"Run `pip install 'sampan[{extra}]'`." if extra else ""
        raise InputError(f"{scheme}:// needs a library that is not installed ({error})", where=url, how=how) from None
    except Exception as error:
        raise InputError(
            f"cannot be fetched ({type(error).__name__}: {str(error)[:200]})",
            where=url,
            how="Check the address, the network and, for a bucket, your credentials.",
        ) from error


def read_away(files: Any, path: str, url: str) -> Iterator[bytes]:
    """The bytes of a file in a file system of fsspec, in order; InputError if there is none or it cannot be read."""
    with told(url):
        try:
            file = files.open(path, "rb")
        except (FileNotFoundError, IsADirectoryError):
            if files.isdir(path):
                raise InputError(
                    "this is a folder", where=url, how="Write a / behind it to mean all its files."
                ) from None
            raise
        with file:
            while block := file.read(_CHUNK):
                yield block


def list_away(url: str) -> tuple[Any, dict[str, tuple[str, int]]]:
    """(file system, {name below the folder: (path there, bytes)}) of a folder or pattern; InputError if it is empty or
    a name would lead out of the folder."""
    import fsspec

    with told(url):
        files, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
        root = _fixed(path).rstrip("/")
        found = files.glob(path, detail=True) if is_pattern(url) else files.find(root, detail=True)
    listed = {}
    for there, facts in sorted(found.items()):
        name = there.removeprefix(f"{root}/")
        if facts["type"] != "file" or name in ("", root) or name.endswith("/"):  # a folder, or what stands for one
            continue
        if name == there or {"", ".", ".."} & set(name.split("/")):
            raise InputError(f"'{there}' cannot be a file's name in this folder", where=url, how="Rename it there.")
        listed[name] = (there, int(facts["size"]))
    if not listed:
        raise InputError(
            "no file matches" if is_pattern(url) else "no file is there",
            where=url,
            how="Upper and lower case differ; `**` goes across folders, `*` does not.",
        )
    return files, listed


def bring(url: str, folder: Path, write: Callable[[Iterator[bytes], Path], int]) -> dict[str, int]:
    """Make `folder` hold the files of the address and no others; returns their sizes. `write(blocks, path)` makes one
    file and returns its size. InputError if one changed meanwhile."""
    files, listed = list_away(url)
    here = {name: (folder / name).stat().st_size for name in (tree_files(folder) if folder.is_dir() else ())}
    for name in here.keys() - listed.keys():
        (folder / name).unlink(missing_ok=True)

    def one(name: str) -> None:
        there, size = listed[name]
        if write(read_away(files, there, f"{url} ({name})"), folder / name) != size:
            raise InputError("this file changed while it was fetched", where=f"{url} ({name})", how="Run again.")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            list(pool.map(one, [name for name, (_, size) in listed.items() if here.get(name) != size]))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return {name: size for name, (_, size) in listed.items()}


def _fixed(path: str) -> str:
    """The part of a path that no pattern is in; of one without, all of it."""
    if not is_pattern(path):
        return path
    parts = path.split("/")
    return "/".join(parts[: next(i for i, part in enumerate(parts) if is_pattern(part))])
