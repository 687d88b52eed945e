"""Processes that find each other as those of a launcher do, for the scripts that tests of several processes start."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable


def forked(size: int, work: Callable[[int], None]) -> list[int]:
    """Let `size` processes do `work(rank)`; returns what `waitpid` says of each: 0 where all went well."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    children = []
    for rank in range(size):
        if child := os.fork():
            children.append(child)
            continue
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        try:
            work(rank)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return [os.waitpid(child, 0)[1] for child in children]
