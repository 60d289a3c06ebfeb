"""Everything people and services read and ask for through HTTP."""

from ingress.api.app import Api, Deps, setup_api

__all__ = ["Api", "Deps", "setup_api"]
