-- Runs that are carried on together, so that up to fifty Pages share a request to Graph: those of a
-- batch, or what else is open in the same lane and rank. Walks share by batches alone: whoever asks
-- for one is not to wait for another.
create function runs_beside(asked uuid) returns setof uuid stable language sql as $$
    select asked
    union
    select run_id from sync_members where batch_id = asked
    union
    select other.id
    from sync_runs run
    join sync_runs other on other.lane = run.lane and other.priority = run.priority
    where run.id = asked and run.lane not in ('walk', 'all')
        and other.status in ('queued', 'running', 'interrupted')
$$;
