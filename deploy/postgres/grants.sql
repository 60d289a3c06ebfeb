-- What each role may do with the tables there are now. Run as pagewire_migrator after every
-- `pagewire migrate`; may be run as often as you like. Whatever is not named is refused.

begin;

revoke all on all tables in schema public
    from public, pagewire_ingress, pagewire_api, pagewire_worker, pagewire_operator;
revoke all on all functions in schema public from public;
revoke create on schema public from public;
grant usage on schema public
    to pagewire_ingress, pagewire_api, pagewire_worker, pagewire_operator;

-- The door: leaves webhooks, and says that it lives and what may be missing. It cannot read back
-- what it left, and knows of no other table.
grant insert (entry), select (received_at) on webhook_inbox to pagewire_ingress;
grant insert (cause, ingress, from_at, until_at) on gaps to pagewire_ingress;
grant insert (ingress, boot, started_at, seen_at, acked), select (ingress, boot, seen_at, acked),
    update (seen_at, acked), delete on ingress_boots to pagewire_ingress;
-- How far a data deletion is, for whoever has its code; not who asked for it.
grant select (code, kind, status, received_at, finished_at) on privacy_requests
    to pagewire_ingress, pagewire_api;

-- The API: shows what there is, and writes what people do: tags, what they have seen, sessions,
-- syncs asked for, Pages. It makes no message, and no key; Pages' tokens it stores and cannot read.
grant select (
    id, facebook_page_id, instagram_id, name, status, status_reason, is_active, has_token,
    last_synced_at, proven_at, proven_level, created_at
) on facebook_pages to pagewire_api;
grant select on
    conversations, messages, reactions, tags, conversation_tags, events, raw_events,
    dead_letters, changes, changes_forgotten, sync_runs, sync_members, sync_points, sync_findings,
    sync_listed, sync_unlisted, gaps, ingress_boots, api_keys, sessions, feed_consumers, migrations,
    app_users
    to pagewire_api;
grant select (received_at) on webhook_inbox to pagewire_api;
grant insert on
    facebook_pages, tags, conversation_tags, changes, sync_runs, sync_members, sessions,
    feed_consumers
    to pagewire_api;
grant update on facebook_pages, conversation_tags, sync_runs, feed_consumers to pagewire_api;
grant update (seen_at) on conversations to pagewire_api;
grant update (resolved_at, resolution) on dead_letters to pagewire_api;
grant update (last_used_at) on api_keys to pagewire_api;
grant delete on sessions, feed_consumers to pagewire_api;
-- Removing a Page with all that is known of it.
grant delete on
    facebook_pages, conversations, messages, reactions, tags, conversation_tags, events, raw_events,
    dead_letters, changes, sync_runs, sync_members, sync_points, sync_findings, sync_listed,
    sync_unlisted, app_users
    to pagewire_api;

-- The workers: everything about conversations. They add and remove no Page, and know no key.
grant select, insert, update, delete on
    conversations, messages, reactions, tags, conversation_tags, events, raw_events, dead_letters,
    changes, sync_runs, sync_members, sync_points, sync_findings, sync_listed, sync_unlisted,
    webhook_inbox, applied_spans
    to pagewire_worker;
grant select on facebook_pages, changes_forgotten, gaps, ingress_boots, migrations
    to pagewire_worker;
grant update (
    status, status_reason, instagram_id, last_synced_at, proven_at, proven_level
) on facebook_pages to pagewire_worker;
grant update (through) on changes_forgotten to pagewire_worker;
grant update (repaired_at), insert (cause, ingress, from_at, until_at, lost) on gaps
    to pagewire_worker;
grant update (applied, lost, settled_at) on ingress_boots to pagewire_worker;
grant execute on function
    keep_raw_partitions(timestamptz, interval), merge_new_words(), runs_beside(uuid)
    to pagewire_worker;

grant select, update on expiry to pagewire_worker;

-- Erasing people, and keeping them erased: nobody takes a tombstone down, or an audit line back.
grant select, insert on erased to pagewire_worker;
grant select on erasure_salt to pagewire_worker;
grant select, insert, update on privacy_requests to pagewire_worker;
grant select, delete on app_users to pagewire_worker;
grant insert, select (subject) on audit to pagewire_worker;
grant execute on function
    person_digest(text), erased_among(text[], text[]), names_person(bytea, text),
    names_message(bytea, text), undo_unless(boolean)
    to pagewire_worker, pagewire_operator;

-- A person at the command line: every row but those, no table.
grant select, insert, update, delete on all tables in schema public to pagewire_operator;
revoke update, delete on erased, erasure_salt, audit from pagewire_operator;

commit;
