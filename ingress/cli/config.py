from urllib.parse import urlsplit

from ingress.cli import configuration, show
from shared.config import SETTINGS, Setting


def config(*, as_json: show.AsJson = False) -> None:
    """Show every setting, where it comes from, and its value where that is no secret.

    For example:

        pagewire config
    """
    rows = [
        {
            "name": setting.name,
            "value": _shown(setting, configuration.given(setting)),
            "source": configuration.source_of(setting),
        }
        for setting in SETTINGS
    ]
    if as_json:
        show.json(rows)
    else:
        show.table(rows, empty="")
    configuration.settings()


def _shown(setting: Setting, value: str | None) -> str | None:
    if value is None or not setting.secret:
        return value
    if setting.name.endswith(("_URL", "_URLS")):
        return " ".join(map(_address, value.split()))
    return "***"


def _address(url: str) -> str:
    """Return a store's URL without what might be a secret in it."""
    hidden = "***"
    try:
        parts = urlsplit(url)
    except ValueError:
        return hidden
    # A password with an unquoted / or ? would look like a host.
    if url.count("@") != parts.netloc.count("@") or not parts.scheme:
        return hidden
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
