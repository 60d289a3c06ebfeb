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
create index conversations_unread on conversations (last_hour desc) where unread;

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
