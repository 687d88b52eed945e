"""`sampan serve`: load a model, bind a port where it is safe to, and answer until told to stop."""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import SampanError
from .guard import LOOPBACK_NAMES, is_loopback

if TYPE_CHECKING:
    import uvicorn


class Server:
    """A server with its port bound and its model loaded. `run` blocks; `stop` ends it from another thread."""

    def __init__(self, uvicorn_server: uvicorn.Server, bound: socket.socket, url: str) -> None:
        self._uvicorn, self._socket, self.url = uvicorn_server, bound, url

    def run(self) -> None:
        """Answer until `stop` is called or, in the main thread, the process is interrupted."""
        try:
            self._uvicorn.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        self._uvicorn.should_exit = True


def open_server(
    folder: Path,
    *,
    name: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    insecure: bool = False,
    device: str = "cpu",
    dtype: str = "float32",
    max_tokens: int = 4096,
    max_body_bytes: int = 1 << 20,
    on_ready: Callable[[str], None] = lambda url: None,
) -> Server:
    """Check the binding, take the port (0: any free one), then load the model.

    SampanError if the host can be reached from outside and there is no token (unless `insecure`), if the port is taken,
    or if the token is empty; InputError if the model does not load. `on_ready` is called with the URL once requests
    are answered.
    """
    _check_binding(host, token, insecure)
    bound = _bind(host, port)
    url = _url(host, bound.getsockname()[1])
    try:
        from .app import Settings, build_app
        from .engine import Engine

        engine = Engine(folder, dtype=dtype, device=device)
    except BaseException:
        bound.close()
        raise
    settings = Settings(
        name=name,
        token=token,
        allowed_hosts=(*LOOPBACK_NAMES, host.lower()) if is_loopback(host) else None,
        max_tokens=max_tokens,
        max_body_bytes=max_body_bytes,
    )
    return Server(_uvicorn_server(build_app(engine, settings), lambda: on_ready(url)), bound, url)


def serve(
    folder: Path,
    *,
    name: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    open_browser: bool = False,
    insecure: bool = False,
    device: str = "cpu",
    dtype: str = "float32",
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve the model in `folder` (a Hugging Face folder) until interrupted; see `open_server` for the errors."""

    def ready(url: str) -> None:
        on_ready(url)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    open_server(
        folder,
        name=name,
        host=host,
        port=port,
        token=token,
        insecure=insecure,
        device=device,
        dtype=dtype,
        on_ready=ready,
    ).run()


def _check_binding(host: str, token: str | None, insecure: bool) -> None:
    if token is not None and (not token.strip() or not token.isascii() or token != token.strip()):
        raise SampanError("the token is empty or has characters that a header cannot carry", how="Give ASCII letters.")
    if not is_loopback(host) and token is None and not insecure:
        raise SampanError(
            f"'{host}' can be reached from other machines, and without a token anyone there could use the model",
            how="Set a token, bind to 127.0.0.1, or say that it may be insecure.",
        )


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, OverflowError) as error:
        raise SampanError(f"cannot bind to '{host}' port {port} ({error})") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen()
    except (OSError, OverflowError) as error:
        bound.close()
        raise SampanError(
            f"port {port} of {host} cannot be used ({getattr(error, 'strerror', None) or error})",
            how="Another server may be running there: stop it, or give another port (0 takes a free one).",
        ) from None
    return bound


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)
    return f"http://[{shown.strip('[]')}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _uvicorn_server(app: object, on_ready: Callable[[], None]) -> uvicorn.Server:
    import uvicorn

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5, lifespan="on"
    )
    return Announcing(config)
