-- The other direction of a verification: what we have and Graph does not list. That is no fault: it
-- may have been taken back, moved out of sight, or hidden.

-- The conversations a verification under way has met; forgotten when it is done.
create table sync_listed (
    run_id uuid not null references sync_runs on delete cascade,
    page_id text collate "C" not null,
    participant_id text collate "C" not null,
    primary key (run_id, page_id, participant_id)
);

-- A conversation (`mid` empty), or a message of its newest slice.
create table sync_unlisted (
    run_id uuid not null references sync_runs on delete cascade,
    page_id text collate "C" not null,
    participant_id text collate "C" not null,
    mid text collate "C" not null default '',
    primary key (run_id, page_id, participant_id, mid)
);
