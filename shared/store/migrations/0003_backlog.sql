-- What an ingress could not put into the Redis stream: packed entries, gone once applied.
-- Stored as they are (external): compressing them would cost the door more than it saves.
create table webhook_inbox (
    id bigint generated always as identity primary key,
    received_at timestamptz not null default now(),
    entry bytea not null,
    claimed_by text,
    claimed_until timestamptz,
    starts integer not null default 0
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

alter table webhook_inbox alter column entry set storage external;

-- Times of which nobody can prove that every event arrived: what is to be read again from Graph.
-- `pages` null: all of them.
create table gaps (
    id bigint generated always as identity primary key,
    cause text not null,
    ingress text not null,
    from_at timestamptz not null,
    until_at timestamptz not null,
    pages text[] collate "C",
    recorded_at timestamptz not null default now(),
    repaired_at timestamptz
);

create index gaps_open on gaps (id) where repaired_at is null;

-- One row a start of an ingress process. `acked`: the numbers of the envelopes it acknowledged,
-- so that what was acknowledged and never applied can be counted.
create table ingress_boots (
    ingress text not null,
    boot text not null,
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now(),
    acked int8multirange not null default '{}',
    primary key (ingress, boot)
);
