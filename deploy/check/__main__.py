"""`make deploy-check`: has everything under deploy/ judged by the tools that read such files.

What a machine has no tool for is skipped, and said. No container engine, no cluster and no
Grafana is needed, nor are they replaced: images are not built, nothing is applied or imported.
"""

import sys
import tempfile
from pathlib import Path

from deploy.check.checks import CHECKS, GET, missing
from deploy.check.tools import Finding


def main() -> int:
    """Run every check; return 1 when one found something."""
    failed = skipped = 0
    for check in CHECKS:
        if lacking := missing(check):
            skipped += 1
            how = ", ".join(f"{tool} ({GET.get(tool, 'make deploy-check')})" for tool in lacking)
            print(f"skipped  {check.what}: this machine has no {how}")
            continue
        with tempfile.TemporaryDirectory(prefix="pagewire-check-") as work:
            try:
                check.judge(Path(work))
            except Finding as finding:
                failed += 1
                print(f"FAILED   {check.what}\n{finding}\n")
                continue
        print(f"ok       {check.what}")
    print(f"deploy: {len(CHECKS) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
