"""Ports of this machine: whether one is free, which one is, and whether somebody answers on it."""

import contextlib
import errno
import http.client
import socket

from deploy.local.errors import CannotStart


def check_free(setting: str, host: str, port: int) -> None:
    """Raise CannotStart, naming the setting to change, unless `port` can be listened on."""
    try:
        with _listening(host, port):
            return
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"Port {port} of {host} is taken.\nChoose another: {setting}={port + 1} make run"
            ) from error
        raise CannotStart(
            f"Pagewire cannot listen on port {port} of {host}: {error.strerror}.\n"
            f"Set INGRESS_HOST to an address of this machine, or another {setting}."
        ) from error


def any_free(host: str) -> int:
    """Return a port nobody listens on at the moment."""
    with _listening(host, 0) as listener:
        port: int = listener.getsockname()[1]
        return port


def accepts(host: str, port: int) -> bool:
    """Tell whether somebody accepts connections on the port."""
    with contextlib.suppress(OSError), socket.create_connection((_reachable(host), port), 1):
        return True
    return False


def get(host: str, port: int, path: str, **headers: str) -> tuple[int, bytes]:
    """Return the status and the body a GET is answered with. Raises CannotStart without one."""
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=5)
    try:
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise CannotStart(f"{url(host, port)}{path} does not answer: {error!r}") from error


def url(host: str, port: int) -> str:
    """Return the address as a browser takes it."""
    name = _reachable(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _reachable(host: str) -> str:
    """Return where to connect to what listens on `host`, which may mean every address."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104


def _listening(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # As servers do, so that connections of an earlier run that linger do not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
