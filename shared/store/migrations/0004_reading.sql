-- What people and services read by.

-- A browser that presented an API key; the key ends it.
create table sessions (
    digest bytea primary key,
    key_id uuid not null references api_keys on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

-- Unread: the person wrote after we last answered, and after somebody last looked.
alter table conversations add column unread boolean not null generated always as (
    coalesce(
        last_in_ms > coalesce(last_out_ms, 0)
        and (seen_at is null or to_timestamp(last_in_ms / 1000.0) > seen_at),
        false
    )
) stored;

-- Like the indexes beside it, it is touched once an hour, and when `unread` turns.
create index conversations_unread on conversations ((last_hour::bigint) desc) where unread;

create index conversation_tags_worn on conversation_tags (page_id, source, key) where active;

-- Up to which transaction the change feed was forgotten: whoever stands before it starts anew.
create table changes_forgotten (
    only_row boolean primary key default true check (only_row),
    through xid8 not null
);

insert into changes_forgotten (through) values ('0');

-- Where each service that reads the change feed stands: it has all of `since`, and of what
-- became visible from there to `until`, all up to the id `after`.
create table feed_consumers (
    name text primary key,
    since pg_snapshot not null,
    until pg_snapshot,
    after bigint not null default 0,
    moved_at timestamptz not null default now()
);

-- Search over words. New ones wait in a list that a worker merges every ten seconds: a message costs
-- some 10 µs more to write and as much in the background. Kept in order at once, the index would
-- cost 80 µs a message; merging when a writer happens to fill a small list stalls that writer for
-- half a second (measured with batches of 300 messages of eight words over a million).
create index messages_words on messages using gin (to_tsvector('simple', text))
    with (fastupdate = on, gin_pending_list_limit = 65536);
create index conversations_words on conversations
    using gin (to_tsvector('simple', participant_name))
    with (fastupdate = on, gin_pending_list_limit = 65536);

-- Only an index's owner may merge its list: workers need not be that.
create function merge_new_words() returns void language sql security definer
set search_path = pg_catalog, public as $$
    select gin_clean_pending_list('messages_words'), gin_clean_pending_list('conversations_words')
$$;
