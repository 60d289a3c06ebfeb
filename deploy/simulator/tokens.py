"""Access tokens: what each stands for, whether it still lives, and proofs made with it."""

import hmac
from typing import Literal

from msgspec import Struct

from deploy.simulator import errors, ids
from deploy.simulator.config import Config
from deploy.simulator.truth import Page, Truth


class Grant(Struct):
    """What a token allows; `dead` is the subcode of the 190 it gives now (0: none)."""

    kind: Literal["page", "user", "app"]
    page: Page | None = None
    dead: int | None = None
    issued_s: int = 0


class Tokens:
    """All tokens: one of the user who runs the Pages, one of the app, one of each Page."""

    def __init__(self, config: Config, truth: Truth, now_ms: int) -> None:
        self._seed = config.seed
        self._secret = config.app_secret.encode()
        self._issued = 0
        self.user_id = ids.digits(f"{config.seed}/user", 15, first="12")
        self.app = f"{config.app_id}|{config.app_secret}"
        self.user = ids.access_token(f"{config.seed}/user")
        self.grants: dict[str, Grant] = {self.app: Grant("app"), self.user: Grant("user")}
        self.of_page: dict[str, str] = {}
        for page in truth.pages.values():
            self.issue(page, now_ms)

    def issue(self, page: Page, now_ms: int) -> str:
        """Give a Page another token; earlier ones stay as they are."""
        self._issued += 1
        token = ids.access_token(f"{self._seed}/{page.id}/{self._issued}")
        self.grants[token] = Grant("page", page, issued_s=now_ms // 1000)
        self.of_page[page.id] = token
        return token

    def exchange(self, now_ms: int) -> str:
        """Return a long-lived token of the user."""
        self._issued += 1
        token = ids.access_token(f"{self._seed}/user/{self._issued}")
        self.grants[token] = Grant("user", issued_s=now_ms // 1000)
        return token

    def kill(self, page: Page, subcode: int) -> None:
        """Make every token of the Page fail with 190 and this subcode."""
        for grant in self.grants.values():
            if grant.page is page:
                grant.dead = subcode

    def check(self, token: str | None) -> Grant:
        """Return what the token stands for; raises Graph's 190, or 2500 where there is none."""
        if not token:
            raise errors.syntax("An active access token must be used to query information.")
        grant = self.grants.get(token)
        if grant is None:
            raise errors.refuse("190")
        if grant.dead is not None:
            raise errors.refuse(f"190/{grant.dead}" if grant.dead else "190")
        return grant

    def proof(self, token: str) -> str:
        """Return the `appsecret_proof` that belongs to a token."""
        return hmac.digest(self._secret, token.encode(), "sha256").hex()
