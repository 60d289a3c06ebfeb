-- What the API shows. $1 of every statement: the ids of the Pages whose rows may be seen (Pages'
-- and their Instagram accounts'), null for all of them. A statement without it fails a test.

-- name: conversations
-- Everything about the conversations that a `chosen…` selects. Facebook's labels without a known
-- name are left out: names are never invented.
select
    c.id, c.page_id, page.id as page_uuid, page.name as page_name, c.platform, c.participant_id,
    c.participant_name, c.thread_id, c.last_message_at, c.last_sent_ms, c.unread, c.seen_at,
    c.read_watermark_ms, c.delivered_watermark_ms, c.history_complete, c.updated_time,
    last.mid, last.direction, last.kind, left(last.text, 300) as text, last.sent_at,
    last.deleted_at, coalesce(jsonb_array_length(last.attachments), 0) as attachments,
    (
        select json_agg(json_build_object('name', t.name, 'source', t.source) order by t.name)::text
        from conversation_tags w
        join tags t on t.page_id = w.page_id and t.source = w.source and t.key = w.key
        where w.page_id = c.page_id and w.participant_id = c.participant_id
            and w.active and t.name is not null
    ) as tags
from ({chosen}) c
left join messages last on last.page_id = c.page_id and last.mid = c.last_mid
left join lateral (
    select p.id, p.name from facebook_pages p
    where c.page_id = p.facebook_page_id or c.page_id = p.instagram_id
    limit 1
) page on true
order by c.last_hour desc, coalesce(c.last_sent_ms, 0) desc, c.id desc;

-- name: chosen_one
select * from conversations c where ($1::text[] is null or c.page_id = any($1)) and c.id = $2

-- name: chosen_of_all
select * from conversations c
where ($1::text[] is null or c.page_id = any($1)) and {before} {wanted}
order by c.last_hour::bigint desc, coalesce(c.last_sent_ms, 0) desc, c.id desc
limit $2

-- name: chosen_of_pages
-- The newest of each Page, then the newest of these: each Page's part of the index is read in its
-- order.
select newest.*
from unnest($1::text[]) as mine (page_id)
cross join lateral (
    select * from conversations c
    where c.page_id = mine.page_id collate "C" and {before} {wanted}
    order by c.last_hour desc, coalesce(c.last_sent_ms, 0) desc, c.id desc
    limit $2
) newest
order by newest.last_hour desc, coalesce(newest.last_sent_ms, 0) desc, newest.id desc
limit $2

-- name: before
-- The hour is said twice, for either index.
c.last_hour <= $3::bigint / 3600000 and c.last_hour::bigint <= $3::bigint / 3600000
and (coalesce(c.last_sent_ms, 0), c.id) < ($3::bigint, $4::uuid)

-- name: wanted_unread
and c.unread

-- name: wanted_tag
and exists (
    select from conversation_tags w
    join tags t on t.page_id = w.page_id and t.source = w.source and t.key = w.key
    where w.page_id = c.page_id and w.participant_id = c.participant_id
        and w.active and t.name = {value}::text
)

-- name: found
-- What words find in messages, and in names: each half is planned for how common its words are,
-- which one condition with `or` could not be.
select * from (({in_messages}) union ({in_names})) c
order by c.last_hour desc, coalesce(c.last_sent_ms, 0) desc, c.id desc
limit $2

-- name: wanted_in_messages
and exists (
    select from messages m
    where m.page_id = c.page_id and m.participant_id = c.participant_id
        and to_tsvector('simple', m.text) @@ to_tsquery('simple', {value})
)

-- name: wanted_in_names
and to_tsvector('simple', c.participant_name) @@ to_tsquery('simple', {value})

-- name: plan_anew
set local plan_cache_mode = force_custom_plan;

-- name: merge_new_words
select merge_new_words();

-- name: messages
-- A slice of a conversation, the newest first, before ($4, $5); one row without a mid when there
-- is none, no row when there is no such conversation. A message without `sent_ms` is known only
-- by what refers to it, and not shown.
select
    m.mid, m.direction, m.kind, m.text, m.attachments::text, m.sent_at, m.sent_ms, m.edited_at,
    m.num_edit, m.deleted_at, m.unreadable_at, m.reply_to_mid, m.app_id, m.source, m.extra::text,
    m.read_ms, c.read_watermark_ms, c.delivered_watermark_ms,
    (
        select json_agg(
            json_build_array(r.actor_id, r.reaction, r.emoji, r.acted_ms) order by r.acted_ms
        )::text
        from reactions r
        where r.page_id = m.page_id and r.mid = m.mid and r.active
    ) as reactions
from conversations c
left join lateral (
    select * from messages m
    where m.page_id = c.page_id and m.participant_id = c.participant_id
        and (m.sent_ms, m.mid) < ($4::bigint, $5::text collate "C")
    order by m.sent_ms desc, m.mid desc
    limit $3
) m on true
where ($1::text[] is null or c.page_id = any($1)) and c.id = $2
order by m.sent_ms desc, m.mid desc;

-- name: pages
-- The Pages by name, each with the sync it waits for.
select
    p.id, p.facebook_page_id, p.instagram_id, p.name, p.status, p.status_reason, p.is_active,
    p.last_synced_at, p.proven_at, p.proven_level,
    (
        select r.id from sync_runs r
        where r.page_id = p.facebook_page_id and r.lane = 'walk'
            and r.status in ('queued', 'running', 'interrupted')
        order by r.status = 'running' desc, r.requested_at
        limit 1
    ) as run_id
from facebook_pages p
where ($1::text[] is null or p.facebook_page_id = any($1)) and ($2::uuid is null or p.id = $2)
order by p.name, p.facebook_page_id;

-- name: page_sums
-- How many conversations each Page and Instagram account has, and when the newest message was.
select page_id, count(*)::int as conversations, max(last_message_at) as last_message_at
from conversations
where $1::text[] is null or page_id = any($1)
group by page_id;

-- name: runs
-- Syncs, the newest first: all that concern the Pages, or those of the ids $2.
select
    r.id, r.page_id, r.mode, r.status, r.priority, r.since, r.options::text, r.requested_at,
    r.started_at, r.finished_at, r.resume_at, r.counts::text, r.error_code, r.error,
    p.id as page_uuid, p.name as page_name
from sync_runs r
left join facebook_pages p on p.facebook_page_id = r.page_id
where
    (
        $1::text[] is null or r.page_id = any($1)
        or exists (
            select from sync_members m
            join sync_runs member on member.id = m.run_id
            where m.batch_id = r.id and member.page_id = any($1)
        )
    )
    and ($2::uuid[] is null or r.id = any($2))
order by r.requested_at desc, r.id
limit $3;

-- name: run_members
-- The syncs that a sync of all stands for, by Page's name.
select
    r.id, r.page_id, r.mode, r.status, r.priority, r.since, r.options::text, r.requested_at,
    r.started_at, r.finished_at, r.resume_at, r.counts::text, r.error_code, r.error,
    p.id as page_uuid, p.name as page_name
from sync_members m
join sync_runs r on r.id = m.run_id
join facebook_pages p on p.facebook_page_id = r.page_id
where ($1::text[] is null or r.page_id = any($1)) and m.batch_id = $2
order by p.name, r.page_id;

-- name: has_open_history
-- Whether some conversation of the Pages still has older messages to be fetched.
select exists (
    select from facebook_pages p
    join conversations c on c.page_id = p.facebook_page_id or c.page_id = p.instagram_id
    where ($1::text[] is null or p.facebook_page_id = any($1))
        and not c.history_complete and c.thread_id is not null
);
