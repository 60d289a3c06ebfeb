-- Keys that Facebook chose are compared byte by byte, as Python compares them: collate "C".
-- No foreign keys between what events write: a reaction or an unsend may come before its message.

create table facebook_pages (
    id uuid primary key default gen_random_uuid(),
    facebook_page_id text collate "C" not null unique,
    instagram_id text collate "C" unique,
    name text not null,
    access_token bytea,
    status text not null default 'active'
        check (status in ('active', 'paused', 'parked', 'removed')),
    status_reason text,
    is_active boolean generated always as (status = 'active') stored,
    last_synced_at timestamptz,
    proven_at timestamptz,
    proven_level text,
    created_at timestamptz not null default now()
);

create table conversations (
    page_id text collate "C" not null,
    participant_id text collate "C" not null,
    id uuid not null unique,
    platform text not null,
    thread_id text collate "C",
    participant_name text,
    name_as_of_ms bigint,
    updated_ms bigint,
    updated_as_of_ms bigint,
    updated_time timestamptz generated always as (to_timestamp(updated_ms / 1000.0)) stored,
    last_sent_ms bigint,
    last_mid text collate "C",
    last_message_at timestamptz generated always as (to_timestamp(last_sent_ms / 1000.0)) stored,
    last_hour integer not null
        generated always as (coalesce(last_sent_ms, 0) / 3600000) stored,
    last_in_ms bigint,
    last_out_ms bigint,
    read_event_ms bigint,
    read_mid_ms bigint,
    read_watermark_ms bigint generated always as (greatest(read_event_ms, read_mid_ms)) stored,
    delivered_watermark_ms bigint,
    seen_at timestamptz,
    history_complete boolean not null default false,
    primary key (page_id, participant_id)
) with (fillfactor = 80);

-- Newest first is read by the hour and sorted within it: a new message seldom changes an indexed
-- column, so most updates of a conversation touch no index at all (HOT). The hour over all Pages is
-- of another type, lest that index be read from end to end in search of a Page with few.
create index conversations_newest on conversations ((last_hour::bigint) desc);
create index conversations_newest_of_page on conversations (page_id, last_hour desc);

-- The identity columns (participant_id … extra) come from the source of the highest rank,
-- text and attachments are last-writer registers, num_edit and deleted_ms only grow:
-- design of the merge, see worker/merge.py.
create table messages (
    page_id text collate "C" not null,
    mid text collate "C" not null,
    platform text not null,
    participant_id text collate "C",
    direction text check (direction in ('in', 'out')),
    kind text collate "C",
    source text collate "C" not null,
    source_rank smallint not null,
    reply_to_mid text collate "C",
    app_id text collate "C",
    extra json,
    sent_ms bigint,
    sent_exact boolean,
    sent_at timestamptz generated always as (to_timestamp(sent_ms / 1000.0)) stored,
    text text collate "C",
    text_as_of_ms bigint,
    text_num_edit integer,
    text_rank smallint,
    attachments jsonb,
    attachments_digest bytea,
    attachments_key bytea,
    attachments_as_of_ms bigint,
    attachments_rank smallint,
    num_edit integer not null default 0,
    edited_ms bigint,
    edited_at timestamptz generated always as (to_timestamp(edited_ms / 1000.0)) stored,
    deleted_ms bigint,
    deleted_at timestamptz generated always as (to_timestamp(deleted_ms / 1000.0)) stored,
    unreadable_ms bigint,
    unreadable_at timestamptz generated always as (to_timestamp(unreadable_ms / 1000.0)) stored,
    read_ms bigint,
    primary key (page_id, mid)
);

-- Without `mid`: with it, Postgres takes this index for the lookup of a message by its key as long
-- as the table has no statistics, and reads all of the Page's messages each time.
create index messages_thread on messages (page_id, participant_id, sent_ms desc);
create index messages_read on messages (page_id, participant_id) where read_ms is not null;

create table reactions (
    page_id text collate "C" not null,
    mid text collate "C" not null,
    actor_id text collate "C" not null,
    participant_id text collate "C" not null,
    acted_ms bigint not null,
    active boolean not null,
    reaction text collate "C",
    emoji text collate "C",
    primary key (page_id, mid, actor_id)
);

-- `key` is the name of a local tag, or the id of a Page's label (source 'facebook').
create table tags (
    page_id text collate "C" not null,
    source text collate "C" not null check (source in ('local', 'facebook')),
    key text collate "C" not null,
    name text collate "C",
    name_as_of_ms bigint not null,
    primary key (page_id, source, key)
);

create table conversation_tags (
    page_id text collate "C" not null,
    participant_id text collate "C" not null,
    source text collate "C" not null check (source in ('local', 'facebook')),
    key text collate "C" not null,
    active boolean not null,
    acted_ms bigint not null,
    primary key (page_id, participant_id, source, key)
);

create table events (
    page_id text collate "C" not null,
    event_key bytea not null,
    platform text not null,
    kind text not null,
    participant_id text collate "C",
    occurred_ms bigint,
    payload bytea,
    understood boolean not null,
    primary key (page_id, event_key)
);

create index events_person on events (page_id, participant_id);

-- One row an item, as it came. Partitions by day are made ahead by keep_raw_partitions(); the
-- default one catches what a late clock would otherwise lose.
create table raw_events (
    received_at timestamptz not null,
    identity uuid not null,
    object text not null,
    page_id text collate "C" not null,
    participant_id text collate "C",
    mid text collate "C",
    bytes bytea
) partition by range (received_at);

create index raw_events_identity on raw_events (identity);
create index raw_events_person on raw_events (page_id, participant_id);
create index raw_events_mid on raw_events (page_id, mid) where mid is not null;
create table raw_events_default partition of raw_events default;

create function keep_raw_partitions(now timestamptz, keep interval) returns void
language plpgsql as $$
declare
    day date;
    old record;
begin
    for day in select generate_series(0, 7) + (now at time zone 'utc')::date loop
        if to_regclass('raw_events_' || to_char(day, 'YYYYMMDD')) is null
            and not exists (
                select from raw_events_default
                where received_at >= day::timestamp at time zone 'utc'
                    and received_at < (day + 1)::timestamp at time zone 'utc'
            )
        then
            execute format(
                'create table %I partition of raw_events for values from (%L) to (%L)',
                'raw_events_' || to_char(day, 'YYYYMMDD'),
                day::timestamp at time zone 'utc',
                (day + 1)::timestamp at time zone 'utc'
            );
        end if;
    end loop;
    for old in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'raw_events'::regclass and c.relname ~ '^raw_events_\d{8}$'
            and to_date(right(c.relname, 8), 'YYYYMMDD') + 1 <= ((now - keep) at time zone 'utc')::date
    loop
        execute format('drop table %I', old.relname);
    end loop;
    delete from raw_events_default where received_at < now - keep;
end
$$;

create table dead_letters (
    id bigint generated always as identity primary key,
    digest bytea not null unique,
    source text not null,
    reason text not null,
    error text not null,
    object text,
    page_id text collate "C",
    bytes bytea not null,
    received_ms bigint not null,
    first_seen timestamptz not null default now(),
    tries integer not null default 1,
    resolved_at timestamptz,
    resolution text
);

create index dead_letters_open on dead_letters (reason, page_id, id) where resolved_at is null;

-- One row a changed conversation and batch, written with the rows it tells of. `xid` lets a
-- reader stop before what may still commit below what it has seen.
create table changes (
    id bigint generated always as identity primary key,
    xid xid8 not null default pg_current_xact_id(),
    page_id text collate "C" not null,
    participant_id text collate "C" not null,
    conversation_id uuid not null,
    kinds text[] not null,
    at timestamptz not null default now()
);

create index changes_by_xid on changes (xid, id);

create table api_keys (
    id uuid primary key default gen_random_uuid(),
    name text not null,
    digest bytea not null unique,
    scope text not null check (scope in ('read', 'sync', 'admin')),
    pages text[] collate "C",
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
