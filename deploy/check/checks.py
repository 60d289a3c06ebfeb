"""Every artefact under deploy/, and who judges it."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.check import image
from deploy.check.tools import REPOSITORY, Finding, find, run
from deploy.local import ports

DEPLOY = REPOSITORY / "deploy"

EXPOSURE = 1.5
"""The most `systemd-analyze security` may say of a unit, of 10; 0 would be without a network."""

KUBERNETES = ("1.31", "1.34", "1.37")

_YAML = """
extends: default
rules:
  braces: {max-spaces-inside: 1}
  comments: {min-spaces-from-content: 1}
  document-start: disable
  line-length: {max: 160}
  truthy: {check-keys: false}
"""


@dataclass(frozen=True)
class Check:
    """What is judged, the programs it takes, and the judge, which raises Finding.

    The judge is given an empty folder to work in.
    """

    what: str
    tools: tuple[str, ...]
    judge: Callable[[Path], object]


def _dockerfile(work: Path) -> None:
    run("hadolint", DEPLOY / "Dockerfile", cwd=work)


def _compose(work: Path) -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    run("check-jsonschema", *schema, DEPLOY / "compose.yaml", cwd=work)


def _yaml(work: Path) -> None:
    run("yamllint", "--strict", "-d", _YAML, DEPLOY, cwd=work)


def _kubernetes(work: Path) -> None:
    """Both the overlay as it is and the one that scales on the backlog."""
    for name in ("kubernetes", "postgres"):
        shutil.copytree(DEPLOY / name, work / name)
    overlay = work / "kubernetes/overlays/example"
    (overlay / "secrets").mkdir()
    for kind in ("migrator", "ingress", "api", "worker"):
        (overlay / f"secrets/{kind}.env").write_text("DATABASE_URL=postgresql://example\n")
    asked = overlay / "kustomization.yaml"
    for text in (asked.read_text(), asked.read_text().replace("# components:", "components:")):
        asked.write_text(text)
        rendered = work / "rendered.yaml"
        rendered.write_text(run("kubectl", "kustomize", overlay, cwd=work))
        for version in KUBERNETES:
            judge = ("--strict", "--quiet", "-k", version)
            run("kubernetes-validate", *judge, rendered, cwd=work)


def _systemd(work: Path) -> None:
    units, system = work / "etc/systemd/system", work / "usr/lib/systemd/system"
    shutil.copytree(DEPLOY / "systemd", units)
    system.mkdir(parents=True)
    for target in Path("/lib/systemd/system").glob("*.target"):
        shutil.copy(target, system)
    for program in ("opt/pagewire/bin/python", "opt/pagewire/bin/pagewire", "usr/bin/psql"):
        (work / program).parent.mkdir(parents=True, exist_ok=True)
        (work / program).touch(mode=0o755)
    for unit in sorted(units.glob("*.service")):
        name, root = unit.name.replace("@", "@1"), f"--root={work}"
        run("systemd-analyze", "verify", "--man=no", root, name, cwd=work, quiet=True)
        threshold = f"--threshold={int(EXPOSURE * 10)}"
        run("systemd-analyze", "security", "--offline=true", root, threshold, name, cwd=work)


def _nginx(work: Path) -> None:
    key, certificate = work / "key.pem", work / "certificate.pem"
    subject = ("-subj", "/CN=example.com", "-days", "2")
    made = ("-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate)
    run("openssl", "req", "-x509", *made, *subject, cwd=work)
    shutil.copy(DEPLOY / "nginx/pagewire.proxy", work)
    text = (DEPLOY / "nginx/pagewire.conf").read_text()
    text = re.sub(r"(ssl_certificate) .*;", rf"\1 {certificate};", text)
    text = re.sub(r"(ssl_certificate_key) .*;", rf"\1 {key};", text)
    # nginx -t listens, and whoever checks may have no right to 443, or use it.
    text = re.sub(r"(listen (?:\[::\]:)?)443 ", rf"\g<1>{ports.any_free('127.0.0.1')} ", text)
    (work / "pagewire.conf").write_text(text)
    main = work / "nginx.conf"
    main.write_text(
        f"pid {work}/pid;\nerror_log stderr;\nworker_processes auto;\nevents {{}}\n"
        "http { access_log off; include pagewire.conf; }\n"
    )
    run("nginx", "-t", "-q", "-c", main, "-p", work, cwd=work, quiet=True)
    # Buffering is off where server-sent events go through, and must be.
    run("gixy", "--skips", "proxy_buffering_off", main, cwd=work)


def _prometheus(work: Path) -> None:
    folder = DEPLOY / "prometheus"
    run("promtool", "check", "config", "--lint-fatal", folder / "prometheus.yml", cwd=work)
    run("promtool", "check", "rules", "--lint-fatal", folder / "alerts.yml", cwd=work)
    run("promtool", "test", "rules", folder / "alerts_test.yml", cwd=work)


def _grafana(work: Path) -> None:
    """Each expression of a dashboard, as the rule it could be."""
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for dashboard in sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
        for number, expression in enumerate(expressions(json.loads(dashboard.read_text())))
    ]
    if not rules:
        raise Finding("There is no dashboard with an expression.")
    file = work / "rules.yml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboards", "rules": rules}]}))
    run("promtool", "check", "rules", file, cwd=work)


def expressions(dashboard: Any) -> Iterator[str]:
    """Yield every PromQL expression of a dashboard, Grafana's variables filled in."""
    if isinstance(dashboard, dict):
        if isinstance(expression := dashboard.get("expr"), str):
            yield expression.replace("$__rate_interval", "5m")
        dashboard = list(dashboard.values())
    if isinstance(dashboard, list):
        for part in dashboard:
            yield from expressions(part)


def _shell(work: Path) -> None:
    run("shellcheck", DEPLOY / "redis/start", REPOSITORY / ".ci/run", cwd=work)


CHECKS = (
    Check("Dockerfile", ("hadolint",), _dockerfile),
    Check("what the Dockerfile builds", ("git",), image.build),
    Check("compose.yaml", ("check-jsonschema",), _compose),
    Check("kubernetes/", ("kubectl", "kubernetes-validate"), _kubernetes),
    Check("systemd/", ("systemd-analyze",), _systemd),
    Check("nginx/", ("nginx", "openssl", "gixy"), _nginx),
    Check("prometheus/", ("promtool",), _prometheus),
    Check("grafana/", ("promtool",), _grafana),
    Check("YAML", ("yamllint",), _yaml),
    Check("shell scripts", ("shellcheck",), _shell),
)

GET = {
    "kubectl": "Kubernetes' own package",
    "systemd-analyze": "apt-get install systemd",
    "nginx": "apt-get install nginx-light",
    "openssl": "apt-get install openssl",
    "promtool": "apt-get install prometheus",
}
"""Where to get what does not come with requirements-deploy.txt."""


def missing(check: Check) -> list[str]:
    """Return the programs this machine lacks for a check."""
    return [tool for tool in check.tools if not find(tool)]
