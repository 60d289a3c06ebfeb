"""How the pages and their files are served."""

import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from yarl import URL

from ingress.web import setup_pages
from tests.stack import ROOT

WEB = ROOT / "ingress" / "web"
STATIC = re.compile(r'(?:href|src)="(/static/[^"]+)"')


@pytest.fixture
async def site() -> AsyncIterator[ClientSession]:
    app = web.Application()
    setup_pages(app)
    async with TestServer(app) as server, ClientSession(server.make_url("/")) as client:
        yield client


@pytest.mark.parametrize("path", ["/inbox", "/ops", "/sign-in"])
async def test_a_page_forbids_scripts_and_styles_of_others_and_its_own_inline(
    site: ClientSession, path: str
):
    async with site.get(path) as answer:
        document = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
    assert answer.content_type == "text/html"
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "<style" not in document
    assert all("src=" in tag for tag in re.findall("<script[^>]*>", document))
    assert " style=" not in document


@pytest.mark.parametrize("path", ["/inbox", "/ops", "/sign-in"])
async def test_what_a_page_asks_for_is_there_and_may_be_kept_for_ever(
    site: ClientSession, path: str
):
    types = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    async with site.get(path) as answer:
        wanted = set(STATIC.findall(await answer.text()))
    for file in wanted:
        async with site.get(file) as answer:
            assert answer.status == 200
            assert answer.content_type == types[file.rpartition(".")[2]]
            assert "immutable" in answer.headers["Cache-Control"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert await answer.read() == (WEB / file.split("/", 3)[3]).read_bytes()


async def test_a_page_names_every_module_so_that_none_is_found_late(site: ClientSession):
    async with site.get("/ops") as answer:
        document = await answer.text()
    modules = {path for path in STATIC.findall(document) if path.endswith(".js")}
    imported: set[str] = set()
    for path in modules:
        async with site.get(path) as answer:
            names = re.findall(r'from "([^"]+)"', await answer.text())
            imported |= {answer.url.join(URL(name)).path for name in names}
    assert imported
    assert imported <= modules


async def test_files_of_another_version_are_served_but_not_kept(site: ClientSession):
    async with site.get("/static/000000000000/js/api.js") as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/../pages.py",
        "/static/x/%2e%2e/pages.py",
        "/static/x/js/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/static/x//etc/passwd",
        "/static/x/pages.py",
        "/static/x/page.html",
        "/static/x/js/",
        "/static/x/js/%00",
    ],
)
async def test_no_path_leads_out_of_the_folder(site: ClientSession, path: str):
    async with site.get(URL(path, encoded=True)) as answer:
        assert answer.status == 404


async def test_the_root_leads_to_the_inbox(site: ClientSession):
    async with site.get("/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/inbox")
