"""The `pagewire` command: asks the store, puts jobs into the queue, starts processes."""

from ingress.cli.app import main

__all__ = ["main"]
