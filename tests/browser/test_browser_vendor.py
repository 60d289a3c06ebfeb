"""The libraries the pages are drawn with are what npm has under their pinned versions."""

import json
import subprocess
from pathlib import Path

from tests.stack import ROOT

VENDOR = ROOT / "ingress" / "web" / "vendor"


def test_what_is_committed_is_what_the_script_makes(vendor: Path, tmp_path: Path):
    subprocess.run(["node", "build.mjs", tmp_path], cwd=vendor, check=True, capture_output=True)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {name: (VENDOR / name).read_bytes() for name in made}
    committed = {path.name for path in VENDOR.iterdir() if path.is_file()}
    assert committed == set(made)


def test_each_file_is_accounted_for_with_version_and_licence():
    told = json.loads((VENDOR / "VERSIONS.json").read_text())
    licences = (VENDOR / "LICENCES.txt").read_text()
    for names in told["files"].values():
        for name in names:
            assert f"{name} {told['packages'][name]['version']}\n" in licences
    scripts = {path.name for path in VENDOR.iterdir() if path.suffix in {".js", ".css"}}
    assert scripts == set(told["files"])
