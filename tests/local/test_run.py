"""`make run` as a person meets it, with stand-ins for the ingress, the workers and the commands."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dotenv import dotenv_values

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
REPOSITORY = Path(__file__).parents[2]
INGRESS = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

address = ("127.0.0.1", int(os.environ["INGRESS_PORT"]))
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""
WORKER = """
import signal
while True:
    signal.pause()
"""
COMMANDS = """
import json, os, pathlib, sys

said = pathlib.Path("commands")
match sys.argv[1:3]:
    case ["page", "list"]:
        added = said.read_text().splitlines() if said.exists() else []
        answer = [{"facebook_page_id": json.loads(line)["id"]} for line in added]
    case ["page", "add"]:
        with said.open("a") as file:
            page = {"id": sys.argv[3], "token": os.environ["PAGE_ACCESS_TOKEN"]}
            file.write(json.dumps(page) + os.linesep)
        answer = {}
    case ["key", "create"]:
        answer = {"key": "key-of-the-test"}
print(json.dumps(answer))
"""


@pytest.fixture
def checkout(home: Path) -> Path:
    """A folder to start in, with stand-ins for what is not under test."""
    for module, code in {"ingress": INGRESS, "worker": WORKER, "ingress/cli": COMMANDS}.items():
        (home / module).mkdir()
        (home / module / "__init__.py").touch()
        (home / module / "__main__.py").write_text(code)
    return home


class Launched:
    """`python -m deploy.local`, started as a shell would: leader of a group of its own."""

    def __init__(self, checkout: Path, *arguments: str, **variables: str) -> None:
        self.home = checkout / ".pagewire"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local", *arguments],
            cwd=checkout,
            env=_environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.screen = ""

    def until_it_runs(self) -> "Launched":
        for line in self.process.stdout:
            self.screen += line
            if "Ctrl-C stops everything" in line:
                return self
        pytest.fail(f"it did not come up:\n{self.screen}")

    def ends(self) -> int:
        self.screen += self.process.communicate(timeout=20)[0]
        return self.process.returncode

    def press_ctrl_c(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        return self.ends()


def _environment(variables: dict[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "INGRESS_PORT": "0", **variables}


def _running(checkout: Path, what: str = "") -> dict[int, str]:
    """Return pid and command of the processes that run in the checkout or name it."""
    found = {}
    for proc in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if what in command and (
                str(checkout) in command or (proc / "cwd").readlink() == checkout
            ):
                found[int(proc.name)] = command
    return {pid: command for pid, command in found.items() if command}


@pytest.fixture
def launch(checkout: Path) -> Iterator[Callable[..., Launched]]:
    """Start it; whatever a test does, nothing of it is left running."""
    launched: list[Launched] = []

    def start(*arguments: str, **variables: str) -> Launched:
        launched.append(Launched(checkout, *arguments, **variables))
        return launched[-1]

    yield start
    for one in launched:
        one.process.kill()
        one.process.wait()
        one.process.stdout.close()


def test_it_starts_everything_says_where_it_is_and_stops_on_ctrl_c(checkout: Path, launch):
    run = launch().until_it_runs()
    assert "/inbox" in run.screen
    assert "/ops" in run.screen
    assert "key-of-the-test" in run.screen
    assert run.press_ctrl_c() == 0
    assert _running(checkout) == {}
    assert "Traceback" not in run.screen


def test_nothing_is_left_running_when_it_is_killed(checkout: Path, launch, wait_for):
    run = launch().until_it_runs()
    assert len(_running(checkout)) > 5
    run.process.kill()
    wait_for(lambda: not _running(checkout), within=30)


def test_nothing_is_left_running_when_make_is_killed(checkout: Path, launch, wait_for):
    make = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])",
            *("-m", "deploy.local", "--until-parent-ends"),
        ],
        cwd=checkout,
        env=_environment({}),
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in make.stdout:
        if "Ctrl-C stops everything" in line:
            break
    make.kill()
    make.communicate()
    wait_for(lambda: not _running(checkout), within=30)


def test_a_second_start_says_who_runs_and_since_when(launch):
    first = launch().until_it_runs()
    second = launch()
    assert second.ends() == 1
    assert f"in use by process {first.process.pid} since 2" in second.screen
    assert "Traceback" not in second.screen


def test_a_taken_port_is_named_with_the_setting_to_change(launch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = launch(INGRESS_PORT=str(port))
        assert run.ends() == 1
    assert f"Port {port} of 127.0.0.1 is taken" in run.screen
    assert f"INGRESS_PORT={port + 1} make run" in run.screen


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_another_user_is_named(checkout: Path, launch):
    (checkout / ".pagewire").mkdir(mode=0o500)
    run = launch()
    assert run.ends() == 1
    assert "belongs to another user" in run.screen
    assert "Traceback" not in run.screen


def test_every_unusable_setting_is_named_and_nothing_is_started(launch):
    run = launch(DATABASE_URL="mysql://nobody:hidden@nowhere", SYNC_INTERVAL="soon")
    assert run.ends() == 1
    assert "DATABASE_URL" in run.screen
    assert "SYNC_INTERVAL" in run.screen
    assert "hidden" not in run.screen
    assert "Traceback" not in run.screen


def test_a_database_that_is_down_is_said_to_be(launch):
    run = launch(DATABASE_URL="postgresql://localhost:1/none")
    assert run.ends() == 1
    assert "Postgres does not answer" in run.screen
    assert "Traceback" not in run.screen


def test_secrets_are_made_once_and_only_their_owner_reads_them(launch):
    run = launch().until_it_runs()
    run.press_ctrl_c()
    keys = run.home / "keys"
    before = {path.name: path.read_text() for path in keys.iterdir()}
    assert {"webhook-verify-token", "token-encryption-key", "api-key"} <= before.keys()
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    for path in (*keys.iterdir(), run.home / "env"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    launch().until_it_runs().press_ctrl_c()
    assert {path.name: path.read_text() for path in keys.iterdir()} == before


def test_no_secret_is_an_argument_that_everybody_here_could_read(checkout: Path, launch):
    run = launch().until_it_runs()
    secrets = {path.name: path.read_text().strip() for path in (run.home / "keys").iterdir()}
    secrets = {name: value for name, value in secrets.items() if name != "simulated-start"}
    commands = _running(checkout)
    limited = {pid: Path(f"/proc/{pid}/limits").read_text() for pid in commands}
    run.press_ctrl_c()
    assert any("deploy.simulator" in command for command in commands.values())
    assert len(secrets) >= 3
    # Nor does any of them leave its memory behind when it crashes.
    assert all("Max core file size        0" in limits for limits in limited.values())
    for command in commands.values():
        assert [name for name, value in secrets.items() if value in command] == []
        assert "postgresql://" not in command


def test_the_settings_of_the_run_are_left_where_the_command_line_looks(launch):
    run = launch(SYNC_INTERVAL="1m", FACEBOOK_APP_SECRET=r"it's \odd", FACEBOOK_APP_ID="1")
    run.until_it_runs().press_ctrl_c()
    left = dotenv_values(run.home / "env")
    assert left["DATABASE_URL"].startswith("postgresql://")
    assert left["SYNC_INTERVAL"] == "1m"
    assert left["FACEBOOK_APP_SECRET"] == r"it's \odd"
    assert "PATH" not in left


def test_the_simulated_pages_are_added_once(checkout: Path, launch):
    launch().until_it_runs().press_ctrl_c()
    launch().until_it_runs().press_ctrl_c()
    added = [json.loads(line) for line in (checkout / "commands").read_text().splitlines()]
    assert len(added) == 3
    assert len({page["id"] for page in added}) == 3
    assert all(page["token"].startswith("EAA") for page in added)


def test_with_a_real_app_nothing_is_simulated(checkout: Path, launch):
    run = launch(FACEBOOK_APP_SECRET="secret", FACEBOOK_APP_ID="1").until_it_runs()
    assert "the real one" in run.screen
    assert not _running(checkout, "deploy.simulator")
    run.press_ctrl_c()


def test_a_part_that_falls_is_started_again(checkout: Path, launch, wait_for):
    run = launch().until_it_runs()
    (first,) = _running(checkout, "worker --only=ingest")
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: _running(checkout, "worker --only=ingest").keys() - {first}, within=30)
    run.press_ctrl_c()
    assert "worker-ingest ended (signal 9) and is started again" in run.screen
