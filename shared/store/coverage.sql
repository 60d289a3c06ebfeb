-- How far Pages are stored, and what is still to be looked at.

-- name: sync_points
select platform, folder, synced_to, walked_at, set_aside, set_aside_at
from sync_points where page_id = $1;

-- name: advance_point
-- Never backwards: two walks may end in any order.
insert into sync_points as old (page_id, platform, folder, synced_to, walked_at)
values ($1, $2, $3, $4, case when $5 then clock_timestamp() end)
on conflict (page_id, platform, folder) do update set
    synced_to = greatest(old.synced_to, excluded.synced_to),
    walked_at = greatest(old.walked_at, excluded.walked_at),
    set_aside = null,
    set_aside_at = null;

-- name: set_aside
insert into sync_points as old (page_id, platform, folder, set_aside, set_aside_at)
values ($1, $2, $3, $4, clock_timestamp())
on conflict (page_id, platform, folder) do update set
    set_aside = excluded.set_aside, set_aside_at = excluded.set_aside_at;

-- name: link_instagram
-- An account that another Page has already stays there: a person must sort that out.
update facebook_pages p set instagram_id = $2
where p.facebook_page_id = $1 and p.instagram_id is null
    and not exists (select from facebook_pages other where other.instagram_id = $2);

-- name: refresh_last_synced
-- A Page is synced up to the oldest point of what is wanted of it: its inbox, and Instagram's
-- where an account is linked and can be read.
update facebook_pages p set last_synced_at = (
    select case when bool_and(s.synced_to is not null) then min(s.synced_to) end
    from (values ('messenger'), ('instagram')) as wanted (platform)
    left join sync_points s
        on s.page_id = p.facebook_page_id and s.platform = wanted.platform and s.folder = 'inbox'
    where (wanted.platform = 'messenger' or p.instagram_id is not null) and s.set_aside is null
)
where p.facebook_page_id = $1;

-- name: set_history
-- Readers see it: the feed tells of it.
with turned as (
    update conversations set history_complete = $3
    where page_id = $1 and participant_id = $2 and history_complete <> $3
    returning page_id, participant_id, id
)
insert into changes (page_id, participant_id, conversation_id, kinds)
select page_id, participant_id, id, array['history'] from turned;

-- name: known_conversations
-- When each conversation was last stored whole, and by a reply of when.
select c.participant_id, c.updated_ms, c.updated_as_of_ms
from unnest($2::text[]) as asked (participant_id)
cross join lateral (
    select * from conversations c
    where c.page_id = $1 and c.participant_id = asked.participant_id collate "C"
    offset 0
) c
where c.updated_ms is not null;

-- name: open_histories
select page_id, platform, participant_id, thread_id
from conversations
where page_id = any($1::text[]) and not history_complete and thread_id is not null
    and participant_id <> all($2::text[])
order by last_hour desc, coalesce(last_sent_ms, 0) desc
limit $3;

-- name: has_open_history
select exists (
    select from conversations
    where page_id = any($1::text[]) and not history_complete and thread_id is not null
);

-- name: insert_finding
-- Not of who was erased since the answer was asked for.
insert into sync_findings (run_id, page_id, participant_id, thread_id, mid)
select $1, $2, $3, $4, $5
where not exists (select from erased_among(array[$2], array[$3]))
on conflict do nothing;

-- name: repair_finding
update sync_findings set repaired_at = clock_timestamp()
where run_id = $1 and thread_id = $2 and mid = $3;

-- name: findings
select page_id, participant_id, thread_id, mid
from sync_findings
where run_id = $1 and (repaired_at is null or not $2)
order by thread_id, mid;

-- name: insert_listed
insert into sync_listed (run_id, page_id, participant_id)
select $1, $2, person from unnest($3::text[]) as person
where person not in (
    select erased.person
    from erased_among(array_fill($2::text, array[cardinality($3::text[])]), $3::text[]) erased
)
on conflict do nothing;

-- name: insert_unlisted
insert into sync_unlisted (run_id, page_id, participant_id, mid)
select $1, $2, $3, mid from unnest($4::text[]) as mid
where not exists (select from erased_among(array[$2], array[$3]))
on conflict do nothing;

-- name: compare_listed
-- Everything was listed: conversations that were there before and were not met.
with unmet as materialized (
    select c.page_id, c.participant_id
    from conversations c
    left join sync_listed l
        on l.run_id = $1 and l.page_id = c.page_id and l.participant_id = c.participant_id
    where c.page_id = any($2::text[]) and c.last_sent_ms < $3 and c.thread_id is not null
        and l.run_id is null
)
insert into sync_unlisted (run_id, page_id, participant_id)
select $1, page_id, participant_id
from unmet
where not exists (select from erased_among(array[page_id], array[participant_id]))
on conflict do nothing;

-- name: forget_listed
with gone as (
    delete from sync_listed
    where ctid = any(array(select ctid from sync_listed where run_id = $1 limit 1000))
    returning 1
)
select count(*) from gone;

-- name: unlisted
select page_id, participant_id, mid
from sync_unlisted
where run_id = $1
order by page_id, participant_id, mid;

-- name: unlisted_messages
-- Of the times a slice speaks for, a conversation each, our messages that it does not tell of.
select told.participant_id, ours.mid
from unnest($2::text[], $3::bigint[], $4::bigint[]) as told (participant_id, from_ms, to_ms)
cross join lateral (
    select m.mid from messages m
    where m.page_id = $1 and m.participant_id = told.participant_id collate "C"
        and m.sent_ms between told.from_ms and told.to_ms
        and m.kind = 'message' and m.deleted_ms is null and m.unreadable_ms is null
    offset 0
) ours
where not exists (select from unnest($5::text[]) as listed (mid) where listed.mid = ours.mid);

-- name: missing_conversations
select asked.participant_id
from unnest($2::text[]) as asked (participant_id)
left join lateral (
    select participant_id from conversations c
    where c.page_id = $1 and c.participant_id = asked.participant_id collate "C"
    offset 0
) c on true
where c.participant_id is null;

-- name: missing_messages
-- A stub that a reaction or a delivery left is no message.
select asked.mid
from unnest($2::text[]) as asked (mid)
left join lateral (
    select sent_ms, deleted_ms, unreadable_ms from messages m
    where m.page_id = $1 and m.mid = asked.mid collate "C"
    offset 0
) m on true
where m.sent_ms is null and m.deleted_ms is null and m.unreadable_ms is null;

-- name: prove_page
update facebook_pages set proven_at = $3, proven_level = $2 where facebook_page_id = $1;

-- name: page_activity
select
    p.facebook_page_id as page_id,
    exists (
        select from sync_runs r
        where r.page_id = p.facebook_page_id and r.lane = 'walk'
            and r.status in ('queued', 'running', 'interrupted')
    ) as is_walking,
    (
        select max(r.requested_at) from sync_runs r
        where r.page_id = p.facebook_page_id and r.lane = 'walk'
    ) as asked_at,
    (
        select s.walked_at from sync_points s
        where s.page_id = p.facebook_page_id and s.platform = 'messenger' and s.folder = 'inbox'
    ) as walked_at,
    p.proven_at,
    p.proven_level,
    newest.last_message_at,
    recent.count as recent
from facebook_pages p
cross join lateral (
    select max(c.last_message_at) as last_message_at
    from unnest(array[p.facebook_page_id, p.instagram_id]) as known (id)
    cross join lateral (
        select last_message_at from conversations
        where page_id = known.id
        order by last_sent_ms desc nulls last
        limit 1
    ) c
) newest
cross join lateral (
    select count(*) from (
        select from unnest(array[p.facebook_page_id, p.instagram_id]) as known (id)
        join conversations c on c.page_id = known.id
            and c.last_sent_ms > 1000 * extract(epoch from clock_timestamp() - interval '7 days')
        limit 500
    ) newest_ones
) recent
where p.is_active and p.has_token;

-- name: to_watch
select
    p.facebook_page_id as page_id, p.instagram_id, p.access_token as token, s.synced_to as seen_at,
    newest.last_message_at
from facebook_pages p
left join sync_points s
    on s.page_id = p.facebook_page_id and s.platform = 'messenger' and s.folder = 'subscription'
cross join lateral (
    select max(c.last_message_at) as last_message_at
    from unnest(array[p.facebook_page_id, p.instagram_id]) as known (id)
    cross join lateral (
        select last_message_at from conversations
        where page_id = known.id
        order by last_sent_ms desc nulls last
        limit 1
    ) c
) newest
where p.is_active and p.has_token
    and coalesce(s.synced_to, '-infinity') < clock_timestamp() - $1::interval
    and ($3::text is null or p.facebook_page_id = $3)
order by s.synced_to nulls first
limit $2;
