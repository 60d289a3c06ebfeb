"""Reads the simulator with Facebook's own SDK; prints what it found as JSON."""

import json
import sys

from facebook_business.adobjects.page import Page
from facebook_business.adobjects.unifiedthread import UnifiedThread
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

url, page_id, token, secret = sys.argv[1:]
FacebookSession.GRAPH = url
api = FacebookAdsApi.init(
    app_id="1", app_secret=secret, access_token=token, crash_log=False, timeout=30
)
page = Page(page_id, api=api)


def conversations(platform):
    found = page.get_conversations(fields=["id"], params={"platform": platform, "limit": 3})
    return [conversation["id"] for conversation in found]


threads = conversations("MESSENGER")
fields = ["id", "message", "created_time", "from"]
thread = UnifiedThread(threads[0], api=api)
messages = [
    {"id": message["id"], "message": message["message"], "from": message["from"]["id"]}
    for message in thread.get_messages(fields=fields, params={"limit": 4})
]

answered = []
batch = api.new_batch()
for thread_id in threads:
    UnifiedThread(thread_id, api=api).api_get(
        fields=["id"], batch=batch, success=lambda reply: answered.append(reply.json()["id"])
    )
rounds = 0
while batch is not None:
    batch = batch.execute()
    rounds += 1

try:
    UnifiedThread("t_404", api=api).api_get(fields=["id"])
except FacebookRequestError as error:
    refused = [error.http_status(), error.api_error_code(), error.api_error_subcode()]

labels = page.get_custom_labels(fields=["page_label_name"])
apps = page.get_subscribed_apps()
print(
    json.dumps(
        {
            "threads": threads,
            "instagram": conversations("INSTAGRAM"),
            "messages": messages,
            "answered": answered,
            "rounds": rounds,
            "refused": refused,
            "labels": [label["page_label_name"] for label in labels],
            "apps": [app["id"] for app in apps],
        }
    )
)
