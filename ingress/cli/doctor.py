"""`pagewire doctor`: one line for each thing that must be well, and what to do where it is not."""

from ingress.cli import show
from ingress.cli.problem import OK, UNHEALTHY


async def doctor(*, as_json: show.AsJson = False) -> int:
    """Check settings, Postgres, Redis, Facebook and every Page; exit 3 where something is wrong.

    For example:

        pagewire doctor
    """
    from ingress.cli import checks

    findings = []
    async for finding in checks.examine():
        findings.append(finding)
        if not as_json:
            print(f"{'✔' if finding.ok else '✘'} {finding.subject}: {show.printable(finding.text)}")
            if finding.fix:
                print(f"  → {show.printable(finding.fix)}")
    if as_json:
        show.json(findings)
    return OK if all(finding.ok for finding in findings) else UNHEALTHY
