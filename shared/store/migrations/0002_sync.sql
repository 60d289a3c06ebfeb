-- The syncs of Pages: what was asked for, how far each came, and what they leave behind.

-- One row a sync. `cursor` is its place, `counts` what it did so far. `resume_at` is when it may
-- go on; a lease says who is at it. A row of mode 'all' stands for many Pages at once.
create table sync_runs (
    id uuid primary key default gen_random_uuid(),
    page_id text collate "C",
    mode text not null check (mode in (
        'all', 'full', 'incremental', 'repair', 'history', 'labels', 'profiles', 'verify'
    )),
    lane text not null generated always as (
        case when mode in ('full', 'incremental', 'repair') then 'walk' else mode end
    ) stored,
    status text not null default 'queued'
        check (status in ('queued', 'running', 'complete', 'interrupted', 'failed')),
    priority smallint not null,
    since timestamptz,
    options jsonb not null default '{}',
    requested_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    resume_at timestamptz,
    woken_at timestamptz,
    lease_id uuid,
    lease_until timestamptz,
    tries integer not null default 0,
    counts jsonb not null default '{}',
    cursor json,
    error_code text,
    error text
);

-- Two syncs of one Page would only double its calls: the second joins, or follows.
create unique index sync_runs_running on sync_runs (page_id, lane) where status = 'running';
create index sync_runs_open on sync_runs (page_id, lane)
    where status in ('queued', 'running', 'interrupted');
create index sync_runs_finished on sync_runs (finished_at) where finished_at is not null;

-- Which runs a run of mode 'all' stands for; a run may be of several.
create table sync_members (
    batch_id uuid not null references sync_runs on delete cascade,
    run_id uuid not null references sync_runs on delete cascade,
    primary key (batch_id, run_id)
);

create index sync_members_run on sync_members (run_id);

-- Up to when each listing of a Page is known to be stored. A row that is set aside could not be
-- read, for the reason given; 'labels' stands for the Page's labels.
create table sync_points (
    page_id text collate "C" not null,
    platform text not null,
    folder text not null,
    synced_to timestamptz,
    walked_at timestamptz,
    set_aside text,
    set_aside_at timestamptz,
    primary key (page_id, platform, folder)
);

alter table conversations
    add column labels_as_of timestamptz,
    add column profile_as_of timestamptz;

-- What is still to be done for single conversations, newest first.
create index conversations_open_history on conversations (page_id, last_sent_ms desc nulls last)
    where not history_complete and thread_id is not null;

create index conversations_labels_due on conversations (page_id, last_sent_ms desc nulls last)
    where platform = 'messenger' and thread_id is not null
        and (labels_as_of is null or labels_as_of < updated_time);
create index conversations_names_due on conversations (page_id, last_sent_ms desc nulls last)
    where participant_name is null and thread_id is not null;

-- What a verification found that Graph has and we had not.
create table sync_findings (
    run_id uuid not null references sync_runs on delete cascade,
    page_id text collate "C" not null,
    thread_id text collate "C" not null,
    participant_id text collate "C" not null,
    mid text collate "C" not null default '',
    repaired_at timestamptz,
    primary key (run_id, thread_id, mid)
);
