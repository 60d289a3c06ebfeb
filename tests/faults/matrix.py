"""Every fault we know of, and where it is tried; or why it is not.

A test is named as pytest names it, without the folder `tests/`; a word alone is a kind of
`nemesis.FAULTS`. `tests/unit/test_fault_matrix.py` sees to it that all of them exist.
"""

from typing import NamedTuple

from tests.faults.nemesis import FAULTS


class NotTried(NamedTuple):
    """Why a fault is not tried."""

    why: str


_CHAOS = "faults/test_chaos.py::test_nothing_acknowledged_is_lost_doubled_or_wrong_under_any_fault"
_HTTP = "integration/intake/test_intake_http.py::"
_PROCESS = "integration/intake/test_intake_process.py::"
_SPILL = "integration/intake/test_intake_spill.py::"
_LOSS = "integration/intake/test_intake_loss.py::"
_INPUT = "faults/test_bad_input.py::"
_HOSTILE = "security/test_hostile_http.py::"
_INGEST = "integration/worker/test_ingest.py::"
_JOBS = "integration/worker/test_jobs.py::"
_ARQ = "integration/worker/test_arq.py::"
_RESUME = "integration/sync/test_resume.py::"
_WALK = "integration/sync/test_walk.py::"
_BATCH = "integration/sync/test_batch.py::"
_CLIENT = "integration/test_client.py::"
_LIVE = "integration/api/test_live.py::"
_STORES = "integration/api/test_stores.py::"
_CACHE = "integration/test_cache.py::"
_FEED = "integration/test_feed.py::"
_REPLIES = "unit/facebook/test_graph_replies.py::"


def _kinds(*beginnings: str) -> list[str]:
    return [kind for kind in FAULTS if kind.startswith(beginnings)]


MATRIX: dict[str, list[str] | NotTried] = {
    # --- the ingress
    "ingress: killed under load": ["ingress_killed", *_kinds("ingress_dies_")],
    "ingress: stopped, rolled": [
        "ingress_deployed",
        _PROCESS + "test_an_end_under_load_loses_nothing_that_was_acknowledged",
        _PROCESS + "test_a_rolling_restart_of_two_loses_no_request",
    ],
    "ingress: frozen, and going on": ["ingress_frozen"],
    "ingress: its loop stands still": [
        "ingress_loop_blocked",
        "integration/test_watchdog.py::test_a_standstill_is_told_once_with_its_place",
    ],
    "ingress: not ready while its loop stands still": NotTried(
        "nothing can answer then: whoever asks for /readyz gives up, after a second in Kubernetes"
    ),
    "ingress: slow and silent sockets": [
        "clients_say_nothing",
        _INPUT + "test_slow_sockets_do_not_slow_the_others_down",
        _HTTP + "test_a_body_that_trickles_is_cut_off",
        _HOSTILE + "test_slow_and_idle_clients_cost_nobody_else_anything",
        _HOSTILE + "test_who_asks_and_does_not_read_is_cut_off",
    ],
    "ingress: out of file descriptors, too many connections": [
        "ingress_out_of_files",
        _HTTP + "test_connections_beyond_the_cap_are_turned_away_and_others_do_not_notice",
    ],
    "ingress: bodies over the limit": [
        _HTTP + "test_a_body_declared_too_large_is_refused_unread",
        _HTTP + "test_a_chunked_body_is_refused_once_it_is_too_large",
        _HTTP + "test_bodies_in_memory_are_bounded",
    ],
    "ingress: compressed bodies": [
        _HTTP + "test_a_compressed_body_is_refused",
        _HTTP + "test_a_compressed_bomb_is_not_inflated",
    ],
    "ingress: what is no HTTP": [
        "clients_send_noise",
        "clients_leave_in_their_body",
        _INPUT + "test_no_request_is_answered_5xx_or_holds_up_another",
        _HOSTILE + "test_a_request_that_two_could_read_differently_is_refused_once",
        _HOSTILE + "test_no_other_protocol_is_spoken",
    ],
    "ingress: signatures of every wrong form": [
        "clients_sign_wrongly",
        _HTTP + "test_only_one_right_signature_opens_the_door",
        _HTTP + "test_the_old_sha1_signature_alone_is_not_enough",
        "unit/facebook/test_signature.py::test_a_header_in_any_other_form_is_not_valid",
        _HOSTILE + "test_who_floods_with_forgeries_is_slowed_and_facebook_is_not",
    ],
    "ingress: the app's secret rotated under load": [
        "app_secret_rotated",
        _HTTP + "test_every_configured_secret_may_sign",
    ],
    "ingress: suddenly every signature is wrong": [
        "deploy/test_artefacts.py::test_every_alert_is_tried_and_has_its_chapter_in_the_runbook"
    ],
    "ingress: old webhooks told again": [
        _CHAOS,
        "integration/store/test_duplicates.py::test_a_redelivery_writes_no_row_and_hardly_any_wal",
    ],
    "ingress: wrong handshakes": [
        _HTTP + "test_any_other_handshake_is_forbidden",
        _HTTP + "test_a_handshake_that_says_something_twice_is_forbidden",
        _HTTP + "test_a_handshake_of_broken_utf8_is_forbidden",
    ],
    "ingress: unknown objects and Pages": [
        _INGEST + "test_events_of_an_unknown_page_wait_and_are_applied_when_it_is_added",
        "unit/facebook/test_webhook_odd.py::test_the_items_of_other_objects_are_kept_one_by_one",
    ],
    "ingress: five times more than it can take": ["clients_five_times_too_many"],
    "clocks of our processes jump by an hour": _kinds("ingress_clock", "worker_clock"),
    "clocks of whole machines jump": NotTried(
        "only those of our processes are moved, not the servers'"
    ),
    # --- Redis
    "Redis: killed, restarted": ["redis_killed", "redis_restarted"],
    "Redis: comes back without its data": [
        "redis_wiped",
        "ingress_killed_and_redis_wiped",
        "faults/test_losses.py::test_what_a_dead_ingress_had_taken_and_nobody_applied_is_told_to_the_last_envelope",
        "integration/backlog/test_backlog_stream.py::test_a_wiped_redis_is_read_from_where_it_begins_anew",
    ],
    "Redis: another, empty one under the same name": [
        # Nothing tells the two apart, and nothing needs to: both are mended as a wipe.
        "redis_wiped",
        _LOSS + "test_a_redis_that_comes_back_empty_gets_the_last_seconds_again",
        _LOSS + "test_loss_older_than_the_ring_is_reported_as_a_gap",
    ],
    "Redis: loses power and the end of its log": [
        "redis_log_chopped",
        _LOSS + "test_the_tail_chopped_off_the_log_comes_from_the_ring",
    ],
    "Redis: its log spoilt in the middle": ["redis_log_corrupted"],
    "Redis: frozen": [
        "redis_stopped",
        "redis_busy",
        _SPILL + "test_a_silent_redis_costs_a_request_less_than_a_second",
    ],
    "Redis: a bad way to it": _kinds("redis_way_", "redis_clients_cut"),
    "Redis: its disk is full": [
        "faults/test_disk_full.py::test_a_full_disk_stops_one_store_and_nothing_else"
    ],
    "Redis: its memory is full": [
        "redis_full",
        _LOSS + "test_a_redis_whose_memory_is_full_sends_webhooks_to_postgres",
    ],
    "Redis: answers with errors": _kinds("redis_says_", "redis_read_only"),
    "Redis: forgets its scripts": NotTried(
        "redis-py sends a script again that the server does not know; a restart does that too"
    ),
    "Redis: fails over to a replica that lags": [
        "redis_failed_over_to_a_lagging_replica",
        "deploy/test_sentinel.py::test_a_replica_that_lacks_the_tail_is_given_it_again",
    ],
    "Redis: somebody else's keys, flushed, groups lost": [
        *_kinds("redis_flushed", "redis_backlog_", "redis_group_"),
        _SPILL + "test_a_backlog_key_of_another_type_does_not_stop_the_door",
    ],
    "Redis: keeps less than it should": [
        "redis_weak",
        "redis_evicting",
        _PROCESS + "test_a_redis_that_evicts_is_refused",
    ],
    # --- the workers
    "worker: killed before and after each step": [
        *_kinds("worker_dies_"),
        "worker_killed",
        "second_worker_killed",
        "all_workers_killed",
        "worker_gone",
        "faults/test_announcement.py::test_a_killed_worker_leaves_no_stale_cache_and_no_silent_feed",
    ],
    "worker: stopped, deployed": ["worker_deployed", _JOBS + "test_deploys_burn_no_tries"],
    "worker: frozen, and back when another has its work": [
        "worker_frozen",
        "worker_away_for_long",
    ],
    "worker: its loop stands still": ["worker_loop_blocked"],
    "worker: an item that kills it": [
        "faults/test_poison.py::test_an_item_that_kills_its_process_three_times_is_set_aside"
    ],
    "worker: a batch of which a part is refused": [
        _INGEST + "test_a_refused_item_costs_its_neighbours_nothing"
    ],
    "worker: repeated, reordered, cut otherwise": [
        "faults/test_rules.py::test_the_rules_hold_whatever_happens",
        "integration/store/test_applying.py::test_any_order_repetition_and_cut_gives_the_same_rows",
    ],
    "worker: a job asked for while it runs": [
        "faults/test_wakeups.py::test_what_happens_while_a_page_is_being_run_is_seen",
        _JOBS + "test_asking_again_while_the_same_job_runs_is_not_ignored",
    ],
    "worker: many on one Page": [
        _CHAOS,
        "faults/test_one_page.py::test_eight_workers_on_one_page_agree",
        "deploy/test_many.py::test_four_workers_share_the_work_and_a_cron_runs_once",
    ],
    "worker: unknown, missing and odd fields": [
        _INPUT + "test_every_json_is_parsed_reduced_or_kept",
        "unit/facebook/test_webhook_properties.py::test_a_mutated_body_has_an_answer",
    ],
    "worker: all away over a cron's tick, two at one tick": [
        _ARQ + "test_a_tick_is_run_by_one_of_two_workers",
        "unit/sync/test_schedule.py::test_what_was_missed_is_caught_up_once",
    ],
    "worker: dies between commit and announcement": [
        "faults/test_announcement.py::test_a_killed_worker_leaves_no_stale_cache_and_no_silent_feed",
        _LIVE + "test_what_nobody_announced_is_found_and_the_cache_told_of_it",
    ],
    # --- Postgres
    "Postgres: killed, stopped, restarted": [
        "postgres_killed",
        "postgres_stopped_at_once",
        "postgres_restarted",
        *_kinds("postgres_backend"),
    ],
    "Postgres: frozen": [
        "postgres_frozen",
        _STORES + "test_while_postgres_is_away_a_client_is_told_to_try_again",
    ],
    "Postgres: deadlocks and cancelled statements": [
        "postgres_rows_locked_by_a_rival",
        "postgres_statements_cancelled",
    ],
    "Postgres: its disk is full": [
        "faults/test_disk_full.py::test_a_full_disk_stops_one_store_and_nothing_else"
    ],
    "Postgres: no connection left": [
        "postgres_crowded",
        "integration/backlog/test_backlog_inbox.py::test_a_busy_pool_is_waited_for_no_longer_than_told",
    ],
    "Postgres: read-only after a failover": ["postgres_read_only"],
    "Postgres: fails over to a standby without its tail, loses what it had not synced": [
        "faults/test_lost_tail.py::test_a_postgres_without_its_tail_gets_it_again_from_the_backlog"
    ],
    "Postgres: what had spilled to it is in a tail it lost": NotTried(
        "such a webhook was in Postgres alone: it is gone, counted as lost, and its time a gap"
    ),
    "Postgres: tables locked, also for 20 s": _kinds("postgres_table_locked", "postgres_inbox"),
    "Postgres: a long transaction, and the feed": [
        "postgres_long_transaction",
        _FEED + "test_a_change_with_a_lower_id_that_commits_later_is_not_skipped",
        _FEED + "test_a_long_writer_elsewhere_delays_nobody",
        _LIVE + "test_a_foreign_transaction_that_stays_open_delays_no_change",
    ],
    "Postgres: refuses our login": [
        "postgres_refuses_our_login",
        "integration/cli/test_where_settings_come_from.py::test_a_database_out_of_reach_is_named_without_its_value",
    ],
    "Postgres: its TLS fails, its name leads elsewhere": NotTried(
        "a refused connection like any other to us; that TLS works is tried in deploy/test_tls.py"
    ),
    "Postgres: a bad way to it, or to both stores": _kinds("postgres_way_", "both_ways_"),
    # --- Graph
    "Graph: limits and usage": [
        _RESUME + "test_a_limit_sets_the_page_to_rest_until_the_time_facebook_names",
        _BATCH + "test_usage_above_seventy_percent_slows_down_before_facebook_says_no",
        _BATCH + "test_an_app_over_its_limit_stops_every_page_at_once",
    ],
    "Graph: a token dies under a sync": [
        _RESUME + "test_a_dead_token_parks_the_page_and_a_new_one_goes_on"
    ],
    "Graph: errors, resets, broken and endless answers": [
        _RESUME + "test_passing_trouble_passes",
        _RESUME + "test_trouble_that_does_not_pass_is_told_and_claims_nothing",
        _CLIENT + "test_an_endless_answer_is_cut_off",
        _CLIENT + "test_a_broken_gzip_is_an_answer_that_did_not_come",
        _CLIENT + "test_a_reset_and_a_refused_connection_say_no_more_than_their_kind",
    ],
    "Graph: cursors in a circle, `next` to another host": [
        _RESUME + "test_a_circle_of_cursors_is_no_end",
        _REPLIES + "test_next_leads_on_by_its_cursor_and_never_by_its_url",
        _CLIENT + "test_a_redirect_is_not_followed",
    ],
    "Graph: messages gone between two calls": [
        _WALK + "test_instagrams_wall_is_an_end_and_no_deletion",
        _REPLIES + "test_ids_without_content_are_unreadable_messages_not_deletions",
    ],
    "Graph: seconds beside milliseconds": [
        "faults/test_rules.py::test_the_rules_hold_whatever_happens",
        _WALK + "test_two_messages_in_one_second_are_not_taken_for_one",
    ],
    "Graph: slow, while webhooks come": [
        _RESUME + "test_an_answer_that_takes_too_long_is_asked_for_in_pieces",
        _BATCH + "test_live_events_have_their_turn_between_any_two_transactions",
    ],
    "Graph: the app was unsubscribed in silence": [
        "integration/sync/test_watch.py::test_a_page_that_was_dropped_is_subscribed_again_and_repaired_from_before",
        "acceptance/test_sync.py::test_lost_webhooks_and_an_hour_unsubscribed_are_repaired_and_proven",
    ],
    # --- those who ask us
    "clients: jobs nobody understands": [
        _JOBS + "test_a_job_nobody_understands_is_a_dead_letter_that_names_it",
        _ARQ + "test_nothing_of_ours_knows_pickle",
    ],
    "clients: streams that are slow, gone, late": [
        _LIVE + "test_a_client_that_does_not_read_reloads_instead",
        _LIVE + "test_whoever_was_away_gets_what_was_missed",
        _LIVE + "test_whoever_was_away_too_long_is_told_to_reload",
    ],
    "clients: nobody announces": [
        _LIVE + "test_what_nobody_announced_is_found_and_the_cache_told_of_it",
        "integration/api/test_stores.py::test_everything_is_read_and_followed_all_the_same",
    ],
    "clients: a reader who is older than a change": [
        _CACHE + "test_a_reader_who_began_before_a_commit_leaves_nothing_stale_behind",
        _CACHE + "test_no_reader_ever_sees_less_than_was_announced",
    ],
    "clients: reading without Redis": [
        _CACHE + "test_while_redis_is_away_answers_come_from_a_short_memory"
    ],
}


def not_tried() -> dict[str, str]:
    """Return the faults that are not tried, each with its reason."""
    return {fault: tried.why for fault, tried in MATRIX.items() if isinstance(tried, NotTried)}


def tried_where() -> list[tuple[str, str]]:
    """Return the others, each with the kinds and the tests that try it."""
    return [
        (fault, ", ".join(name.partition("::")[2] or name for name in tried).replace("_", " "))
        for fault, tried in MATRIX.items()
        if not isinstance(tried, NotTried)
    ]
