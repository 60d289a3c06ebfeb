"""Reads the simulator with python-facebook-api; prints what it found as JSON."""

import json
import sys

from pyfacebook import FacebookApi, FacebookError, GraphAPI

url, page_id, token, secret, app_id, user_token = sys.argv[1:]
VERSION = "v26.0"
graph = GraphAPI(
    app_id=app_id, app_secret=secret, access_token=token, version=VERSION, base_url=f"{url}/"
)
found = graph.get_full_connections(
    object_id=page_id, connection="conversations", limit=3, count=None, fields="id,updated_time"
)
threads = [conversation["id"] for conversation in found["data"]]
messages = graph.get_full_connections(
    object_id=threads[0], connection="messages", limit=4, count=None, fields="id,message"
)
usage = graph.rate_limit.get_limit(page_id, "messenger")

api = FacebookApi(access_token=token, version=VERSION, base_url=f"{url}/")
mids = [message["id"] for message in messages["data"]]
batch = api.message.get_batch(ids=mids[:2], fields="id,message")
try:
    graph.get_object("t_404")
except FacebookError as error:
    refused = [error.code, error.error_subcode]

owner = GraphAPI(
    app_id=app_id,
    app_secret=secret,
    access_token=user_token,
    version=VERSION,
    base_url=f"{url}/",
    access_token_url=f"{url}/oauth/access_token",
)
accounts = owner.get_full_connections(
    object_id="me", connection="accounts", count=None, fields="id,access_token"
)
about = graph.debug_token(input_token=token, access_token=f"{app_id}|{secret}")
longer = owner.exchange_long_lived_user_access_token()

print(
    json.dumps(
        {
            "threads": threads,
            "messages": messages["data"],
            "calls": usage.call_count,
            "batch": {mid: message.message for mid, message in batch.items()},
            "refused": refused,
            "pages": [page["id"] for page in accounts["data"]],
            "valid": about["data"]["is_valid"],
            "longer": longer["access_token"],
        }
    )
)
