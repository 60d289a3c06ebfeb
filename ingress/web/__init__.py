"""The pages people look at: `/inbox`, `/ops` and the sign-in. No build step, no outside host."""

from ingress.web.pages import setup_pages

__all__ = ["setup_pages"]
