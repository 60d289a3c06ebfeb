"""The pages people look at: `/inbox`, `/ops` and the sign-in. No build step, no outside host."""

from ingress.web.pages import setup

__all__ = ["setup"]
