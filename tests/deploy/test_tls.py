"""Both stores over TLS, their certificates checked."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.redis import connect
from shared.store.database import Database

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")


class Certificate:
    """A certificate for this machine, signed by itself, in `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / f"{name}.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.file.write_bytes(
            made.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file)
        return context


@asynccontextmanager
async def tls_before(socket: str, certificate: Certificate, *, asked: bool) -> AsyncIterator[int]:
    """Speak TLS before a server's unix socket; with `asked` after Postgres' request for it."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except (OSError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if asked:
                assert await reader.readexactly(8) == _SSL_REQUEST
                writer.write(b"S")
            await writer.start_tls(certificate.server())
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_unix_connection(socket)
        await asyncio.gather(carry(reader, there_writer), carry(there_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def ours(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path, "ours")


@pytest.fixture
def anothers(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path, "anothers")


async def test_redis_over_tls(redis_url: str, ours: Certificate, anothers: Certificate) -> None:
    async with tls_before(urlsplit(redis_url).path, ours, asked=False) as port:
        redis = connect(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={ours.file}")
        assert await redis.ping()
        await redis.aclose()
        stranger = connect(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={anothers.file}")
        with pytest.raises(RedisConnectionError):
            await stranger.ping()
        await stranger.aclose()


async def test_postgres_over_tls(database: str, ours: Certificate, anothers: Certificate) -> None:
    where = parse_qs(urlsplit(database).query)["host"][0] + "/.s.PGSQL.5432"
    name = urlsplit(database).path
    async with tls_before(where, ours, asked=True) as port:
        url = f"postgresql://pagewire@127.0.0.1:{port}{name}?sslmode=verify-full&sslrootcert="
        store = Database(f"{url}{ours.file}")
        async with store.connection() as connection:
            assert await connection.fetchval("select 1") == 1
        await store.close()
        with pytest.raises((ssl.SSLError, OSError, asyncpg.PostgresError)):
            await asyncpg.connect(f"{url}{anothers.file}")
