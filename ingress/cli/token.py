"""`pagewire token …`: the stored tokens of the Pages."""

from cyclopts import App

from ingress.cli import configuration, postgres, show
from ingress.cli.problem import FAILED, OK
from shared.store import pages

app = App(name="token", help="See to the stored tokens of the Pages.")


@app.command
async def rotate(*, as_json: show.AsJson = False) -> int:
    """Encrypt all tokens anew under the first of TOKEN_ENCRYPTION_KEYS, while everything runs.

    Afterwards the other keys may go, once no process has the old list any more.

    For example:

        pagewire token rotate
    """
    from shared.crypto import CannotDecrypt, KeyRing

    settings = configuration.settings("database_url", "token_encryption_keys")
    keys = KeyRing(settings.token_encryption_keys)
    rotated, failed = 0, {}
    async with postgres.connected(settings) as database:
        stored = await pages.tokens(database)
        for old in stored:
            try:
                if keys.is_current(old.token):
                    continue
                opened = keys.decrypt(old.token, old.facebook_page_id)
            except CannotDecrypt as error:
                failed[old.facebook_page_id] = str(error)
                continue
            new = keys.encrypt(opened, old.facebook_page_id)
            rotated += await pages.replace_token(database, old, new)
    if as_json:
        show.json({"tokens": len(stored), "rotated": rotated, "failed": failed})
    else:
        print(f"Encrypted anew: {rotated} of {len(stored)}")
        for page_id, why in failed.items():
            show.note(f"Page {page_id}: {why}")
    return FAILED if failed else OK
