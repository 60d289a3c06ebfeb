-- Syncs: asked for, taken under a lease, kept going, ended.

-- name: lock_lane
-- Two requests for one Page look one after the other at what there is to join.
select pg_advisory_xact_lock(hashtextextended($1, 2));

-- name: open_runs
select id, mode, options::text
from sync_runs
where page_id = $1 and lane = $2 and status in ('queued', 'running', 'interrupted')
order by requested_at;

-- name: was_walked
select exists (
    select from sync_points
    where page_id = $1 and platform = 'messenger' and folder = 'inbox' and synced_to is not null
);

-- name: insert_run
-- A run of a Page that rests or is parked says so at once.
insert into sync_runs (page_id, mode, priority, since, options, status, error)
select
    $1, $2, $3, $4, $5::jsonb,
    case when p.is_active and p.has_token then 'queued' else 'interrupted' end,
    case
        when p.is_active and not p.has_token then 'The Page has no access token.'
        when p.is_active then null
        when p.status = 'parked' then p.status_reason
        else 'The Page is ' || p.status || '.'
    end
from facebook_pages p
where p.facebook_page_id = $1
returning id;

-- name: insert_batch
insert into sync_runs (mode, priority, status, started_at)
values ('all', $1, 'running', clock_timestamp())
returning id;

-- name: insert_members
insert into sync_members (batch_id, run_id)
select $1, run_id from unnest($2::uuid[]) as run_id
on conflict do nothing;

-- name: join_run
-- Whoever joins brings their rank, an earlier beginning, a whole walk and further options; where
-- these need a run that has not begun ($6 false), one that has is not joined. A run that waits goes
-- on at once for people, and for anybody once its Page is active again; what Facebook has closed
-- stays closed in the budget.
update sync_runs r set
    priority = least(r.priority, $2),
    since = case when $3::timestamptz is null then r.since else least(r.since, $3) end,
    mode = case when $4 then 'full' else r.mode end,
    options = $5::jsonb,
    status = case when goes_on then 'queued' else r.status end,
    resume_at = case when goes_on then null else r.resume_at end,
    error = case when goes_on then null else r.error end,
    error_code = case when goes_on then null else r.error_code end
from facebook_pages p,
    lateral (
        select r0.status = 'interrupted' and p.is_active and p.has_token
            and (r0.resume_at is null or $2 = 0) as goes_on
        from sync_runs r0 where r0.id = $1
    ) waiting
where r.id = $1 and p.facebook_page_id = r.page_id and ($6 or r.started_at is null)
returning r.id;

-- name: active_pages
select facebook_page_id from facebook_pages where status in ('active', 'parked')
order by facebook_page_id;

-- name: find_run
select
    id, page_id, mode, status, priority, since, options::text, requested_at, started_at,
    finished_at, resume_at, counts::text, error_code, error
from sync_runs
where id = $1;

-- name: member_runs
select
    p.name as page_name, r.id, r.page_id, r.mode, r.status, r.priority, r.since, r.options::text,
    r.requested_at, r.started_at, r.finished_at, r.resume_at, r.counts::text, r.error_code, r.error
from sync_members m
join sync_runs r on r.id = m.run_id
join facebook_pages p on p.facebook_page_id = r.page_id
where m.batch_id = $1
order by p.name, r.page_id;

-- name: takable
-- Of the runs that go together, those that may go on now and that nobody holds.
select r.id
from sync_runs r
join facebook_pages p on p.facebook_page_id = r.page_id
where r.id in (select runs_beside($1))
    and r.status in ('queued', 'running', 'interrupted')
    and coalesce(r.resume_at, '-infinity') <= clock_timestamp()
    and coalesce(r.lease_until, '-infinity') < clock_timestamp()
    and p.is_active and p.has_token
order by r.id <> $1, r.priority, r.requested_at
limit $2;

-- name: take_runs
-- `dropped_at` is when the lease of a holder ended that died without giving it back.
with free as (
    select r.id, case when r.lease_id is not null then r.lease_until end as dropped_at
    from sync_runs r
    where r.id = any($1::uuid[])
        and r.status in ('queued', 'running', 'interrupted')
        and coalesce(r.resume_at, '-infinity') <= clock_timestamp()
        and coalesce(r.lease_until, '-infinity') < clock_timestamp()
        and not exists (
            select from sync_runs other
            where other.page_id = r.page_id and other.lane = r.lane and other.status = 'running'
                and other.id <> r.id
        )
    for update skip locked
),
taken as (
    update sync_runs r set
        status = 'running',
        started_at = coalesce(r.started_at, clock_timestamp()),
        resume_at = null,
        lease_id = $2,
        lease_until = clock_timestamp() + $3
    from free
    where r.id = free.id
    returning
        r.id, r.page_id, r.mode, r.priority, r.since, r.options::text, r.counts::text,
        r.cursor::text, r.tries, r.started_at, free.dropped_at
)
select taken.*, p.id as page_uuid, p.name as page_name, p.instagram_id, p.access_token
from taken
join facebook_pages p on p.facebook_page_id = taken.page_id and p.is_active
where p.has_token;

-- name: changed_since
-- Conversations of a Page that changed lately; only the newest changes are looked through.
select distinct page_id, participant_id
from (select page_id, participant_id, at from changes order by id desc limit 10000) newest
where page_id = any($1::text[]) and at >= $2;

-- name: next_due
-- When the next step of the runs that go together may be taken; null when none is due soon.
-- One that must follow another looks again in a second.
select min(
    case
        when exists (
            select from sync_runs other
            where other.page_id = r.page_id and other.lane = r.lane and other.status = 'running'
                and other.id <> r.id
        )
            then clock_timestamp() + interval '1 second'
        else greatest(r.resume_at, clock_timestamp())
    end
)
from sync_runs r
join facebook_pages p on p.facebook_page_id = r.page_id
where r.id in (select runs_beside($1))
    and r.status in ('queued', 'running')
    and coalesce(r.lease_until, '-infinity') < clock_timestamp()
    and p.is_active and p.has_token;

-- name: release_leases
update sync_runs set lease_id = null, lease_until = null where lease_id = $1;

-- name: extend_leases
update sync_runs set lease_until = clock_timestamp() + $2 where lease_id = $1;

-- name: keep_place
-- Only whoever holds the lease may move the place; what moved has not failed. A place that names an
-- erased person is not kept: whoever goes on from here begins again.
update sync_runs set
    cursor = case
        when not exists (select from erased_among($6::text[], $7::text[])) then $3::json
    end,
    counts = $4::jsonb, tries = 0, error = null, error_code = null,
    lease_until = clock_timestamp() + $5
where id = $1 and lease_id = $2
returning id;

-- name: leave_run
-- Let go of a run that is not done: `resume_at` says when it goes on, null with status interrupted
-- that a person must act first.
update sync_runs set
    status = $3, resume_at = $4, tries = $5, error_code = $6, error = $7, counts = $8::jsonb,
    lease_id = null, lease_until = null
where id = $1 and lease_id = $2
returning id;

-- name: end_run
update sync_runs set
    status = $3, error_code = $4, error = $5, counts = $6::jsonb, finished_at = clock_timestamp(),
    cursor = null, resume_at = null, lease_id = null, lease_until = null
where id = $1 and lease_id = $2
returning id;

-- name: settle_batches
-- A batch has ended when none of its runs is under way; those that wait are told of as they are.
update sync_runs b set status = 'complete', finished_at = clock_timestamp()
where b.mode = 'all' and b.status = 'running'
    and b.id in (select batch_id from sync_members where run_id = any($1::uuid[]))
    and not exists (
        select from sync_members m join sync_runs r on r.id = m.run_id
        where m.batch_id = b.id and r.status in ('queued', 'running')
    )
returning b.id;

-- name: park_page
-- Only the token that was refused parks the Page: a person may have brought a new one meanwhile.
update facebook_pages set status = 'parked', status_reason = $3
where facebook_page_id = $1 and status = 'active' and access_token = $2
returning id;

-- name: wake_runs
-- Runs that may go on and that nobody holds, each once in half a minute.
update sync_runs set woken_at = clock_timestamp()
where id in (
    select r.id
    from sync_runs r
    join facebook_pages p on p.facebook_page_id = r.page_id
    where r.status in ('queued', 'running', 'interrupted')
        and coalesce(r.resume_at, '-infinity') <= clock_timestamp()
        and coalesce(r.lease_until, '-infinity') < clock_timestamp()
        and coalesce(r.woken_at, '-infinity') < clock_timestamp() - interval '30 seconds'
        and p.is_active and p.has_token
    order by r.priority, r.requested_at
    limit $1
    for update of r skip locked
)
returning id, priority, lane, (
    select m.batch_id from sync_members m join sync_runs b on b.id = m.batch_id
    where m.run_id = sync_runs.id and b.status = 'running'
    limit 1
) as batch_id;

-- name: forget_runs
delete from sync_runs where finished_at < clock_timestamp() - $1::interval;
