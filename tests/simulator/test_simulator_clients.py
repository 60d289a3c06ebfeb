"""Clients that nobody here wrote find the simulator to be Facebook.

They live in environments of their own beside the checkout's, made once and kept: `.venv-clients`
for Python, `.venv-clients-node` for Node. Where one cannot be made the test is skipped.
"""

import asyncio
import base64
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.simulator import Fault, Modes

ROOT = Path(__file__).parents[2]
CLIENTS = Path(__file__).parent / "clients"
MESSENGER_SDK = "@warriorteam/messenger-sdk@1.5.8"

pytestmark = pytest.mark.timeout(300)


@contextmanager
def made_once(folder, recipe):
    """Yield whether the folder is still to be made from this recipe; one process at a time."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        pytest.skip(f"cannot make {folder.name} in the checkout: {error.strerror}")
    mark = folder / ".made"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256(recipe.encode()).hexdigest()
        missing = not mark.exists() or mark.read_text() != wanted
        yield missing
        if missing:
            mark.write_text(wanted)


def install(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    if done.returncode:
        pytest.skip(f"cannot install the clients: {done.stderr.strip()[-300:]}")


@pytest.fixture(scope="session")
def python():
    """The interpreter that has the Python clients."""
    folder, locked = ROOT / ".venv-clients", ROOT / "requirements-clients.txt"
    with made_once(folder, locked.read_text()) as missing:
        if missing:
            install(sys.executable, "-m", "venv", "--clear", folder / "env")
            pip = folder / "env" / "bin" / "pip"
            install(pip, "install", "--quiet", "--require-hashes", "-r", locked)
    return folder / "env" / "bin" / "python"


@pytest.fixture(scope="session")
def node():
    """The folder that has the Node client."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("there is no Node here")
    folder = ROOT / ".venv-clients-node"
    with made_once(folder, MESSENGER_SDK) as missing:
        if missing:
            quietly = (
                "--silent",
                "--fetch-retries=0",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
            )
            kept = ("--prefix", folder, "--cache", folder / "cache")
            install("npm", "install", *quietly, *kept, MESSENGER_SDK)
    return folder


async def run(*command, given=b""):
    """Return what a client printed as JSON."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(given)
    assert process.returncode == 0, errors.decode()
    return json.loads(output)


def walked(graph, platform="messenger"):
    """The conversations of a Page as a walk gives them."""
    rows = graph.sim.truth.page(graph.page).inboxes[platform, "inbox"].rows
    return rows[::-1]


async def test_facebooks_own_sdk_pages_batches_and_reads_errors(reader, python):
    graph = await reader(conversations=8, instagram=4, messages=10, modes=Modes(proof="required"))
    graph.sim.faults.add(Fault(kind="null", path="/t_", skip=2, count=1))
    told = await run(
        python,
        CLIENTS / "use_facebook_business.py",
        graph.sim.url,
        graph.page,
        graph.token,
        graph.sim.config.app_secret,
    )
    conversations = walked(graph)
    assert told["threads"] == [conversation.thread for conversation in conversations]
    assert told["instagram"] == [c.thread for c in walked(graph, "instagram")]
    newest = conversations[0].messages[::-1]
    assert [m["id"] for m in told["messages"]] == [m.mid for m in newest]
    assert [m["message"] for m in told["messages"]] == [m.text or "" for m in newest]
    assert sorted(told["answered"]) == sorted(told["threads"])
    assert told["rounds"] == 2
    assert told["refused"] == [400, 100, 33]
    assert "VIP" in told["labels"]
    assert told["apps"] == [graph.sim.config.app_id]


async def test_python_facebook_api_pages_batches_and_reads_usage_and_errors(reader, python):
    graph = await reader(pages=27, conversations=7, messages=10, modes=Modes(messenger_budget=100))
    told = await run(
        python,
        CLIENTS / "use_python_facebook_api.py",
        graph.sim.url,
        graph.page,
        graph.token,
        graph.sim.config.app_secret,
        graph.sim.config.app_id,
        graph.sim.tokens.user,
    )
    conversations = walked(graph)
    newest = conversations[0].messages[::-1]
    assert told["threads"] == [conversation.thread for conversation in conversations]
    assert [m["id"] for m in told["messages"]] == [m.mid for m in newest]
    assert told["batch"] == {m.mid: m.text or "" for m in newest[:2]}
    assert told["calls"] >= 3
    assert told["refused"] == [100, 33]
    assert told["pages"] == list(graph.sim.truth.pages)
    assert told["valid"] is True
    assert told["longer"].startswith("EAA")


async def test_a_node_client_accepts_our_signatures_and_no_others(reader, receiver, node):
    graph = await reader(conversations=5, instagram=2, webhook_url=receiver.url)
    for platform in ("messenger", "instagram"):
        graph.sim.happen(graph.page, count=20, platform=platform)
    graph.sim.happen(graph.page, text="äöå https://x.y 😢")
    await graph.sim.webhooks.settle()
    await graph.control("POST", "webhooks/post", {"odd": "feed", "signature": "wrong"})
    body = {"object": "page", "entry": [], "x": "https://x.y é"}
    await graph.control("POST", "webhooks/post", {"body": body, "signature": "reserialised"})
    sent = zip(receiver.bodies, receiver.headers, strict=True)
    given = {
        "secret": graph.sim.config.app_secret,
        "url": graph.sim.url,
        "page": graph.page,
        "token": graph.token,
        "webhooks": [
            {"body": base64.b64encode(body).decode(), "signature": headers["X-Hub-Signature-256"]}
            for body, headers in sent
        ],
    }
    command = ("node", CLIENTS / "use_messenger_sdk.cjs", node)
    told = await run(*command, given=json.dumps(given).encode())
    assert told["valid"] == [True] * 41 + [False, False]
    assert told["threads"] == [conversation.thread for conversation in walked(graph)[:2]]
    assert told["messages"] == [m.mid for m in walked(graph)[0].messages[:-26:-1]]
