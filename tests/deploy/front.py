"""Real nginx with the files of deploy/nginx, on ports of this machine."""

import asyncio
import contextlib
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import pytest

from deploy.local import ports
from tests.deploy.conftest import DEPLOY

needs_nginx = pytest.mark.skipif(
    shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin") is None
    or shutil.which("openssl") is None,
    reason="this machine has no nginx or no openssl",
)

PUBLIC, PRIVATE = "webhook.example.com", "pagewire.internal.example.com"


class Front:
    """nginx on a port of this machine; requests name the host they mean."""

    def __init__(self, folder: Path, ingresses: Sequence[int], api: int) -> None:
        self.port = ports.any_free("127.0.0.1")
        self._folder, self._ingresses, self._api = folder, ingresses, api

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[aiohttp.ClientSession]:
        self._write()
        process = subprocess.Popen(
            [
                *("nginx", "-c", self._folder / "nginx.conf", "-p", self._folder),
                *("-g", "daemon off; master_process off;"),
            ],
            env={"PATH": "/usr/sbin:/usr/bin:/usr/local/bin"},
        )
        try:
            async with asyncio.timeout(10):
                while not ports.accepts("127.0.0.1", self.port):
                    assert process.poll() is None, "nginx ended at once"
                    await asyncio.sleep(0.02)
            trusting = ssl.create_default_context(cafile=self._folder / "cert.pem")
            trusting.check_hostname = False
            connector = aiohttp.TCPConnector(ssl=trusting, resolver=_Here(), force_close=True)
            async with aiohttp.ClientSession(connector=connector) as session:
                yield session
        finally:
            process.terminate()
            process.wait()

    def _write(self) -> None:
        folder = self._folder
        made = ("-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem")
        command = ("openssl", "req", "-x509", *made, "-days", "2", "-subj", "/CN=example.com")
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        text = (DEPLOY / "nginx/pagewire.conf").read_text()
        text = re.sub(r"(ssl_certificate) .*;", rf"\1 {folder}/cert.pem;", text)
        text = re.sub(r"(ssl_certificate_key) .*;", rf"\1 {folder}/key.pem;", text)
        text = text.replace("listen [::]:443", "# listen [::]:443")
        text = text.replace("listen 443", f"listen 127.0.0.1:{self.port}")
        servers = "\n".join(f"server 127.0.0.1:{port};" for port in self._ingresses)
        text = text.replace("server 127.0.0.1:8080;", servers)
        text = text.replace(":8081;", f":{self._api};")
        (folder / "pagewire.conf").write_text(text)
        shutil.copy(DEPLOY / "nginx/pagewire.proxy", folder)
        for name in ("body", "proxy"):
            (folder / name).mkdir()
        (folder / "nginx.conf").write_text(
            f"pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\n"
            "events {}\nhttp {\naccess_log off; client_body_temp_path body;\n"
            "proxy_temp_path proxy; fastcgi_temp_path proxy; uwsgi_temp_path proxy;\n"
            "scgi_temp_path proxy; include pagewire.conf;\n}\n"
        )

    def url(self, host: str, path: str) -> str:
        return f"https://{host}:{self.port}{path}"


class _Here(aiohttp.abc.AbstractResolver):
    """Takes every name for this machine."""

    async def resolve(self, host, port=0, family=0):
        found = {"hostname": host, "host": "127.0.0.1", "port": port}
        return [found | {"family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass
