-- What is older than MESSAGE_RETENTION: $1 of most statements is the horizon, in milliseconds.

-- name: place
-- Where the pass is; no row while the last one ended less than an hour ago.
select page_id, participant_id from expiry
where participant_id <> '' or ended_at < now() - interval '1 hour';

-- name: move_place
update expiry set
    page_id = $1, participant_id = $2,
    ended_at = case when $2 = '' then now() else ended_at end;

-- name: look
-- The next $4 conversations after the place ($2, $3), and whether something of each is expired.
-- A message of which only edits, reactions and the like are known is as old as the last of these.
select
    c.page_id, c.participant_id, c.id,
    (c.last_sent_ms is null and c.updated_ms < $1)
    or exists (
        select from messages m
        where m.participant_id = c.participant_id and m.page_id = c.page_id and m.sent_ms < $1
    )
    or exists (
        select from messages m
        where m.participant_id = c.participant_id and m.page_id = c.page_id
            and m.sent_ms is null and {stub_ms} < $1
    ) as is_expired
from conversations c
where (c.page_id, c.participant_id) > ($2::text collate "C", $3::text collate "C")
order by c.page_id, c.participant_id
limit $4;

-- name: stub_ms
coalesce(
    greatest(
        m.text_as_of_ms, m.attachments_as_of_ms, m.edited_ms, m.deleted_ms, m.unreadable_ms,
        m.read_ms,
        (select max(r.acted_ms) from reactions r where r.page_id = m.page_id and r.mid = m.mid)
    ),
    0
)

-- name: delete_messages
-- Of some people ($2, $3), at most $4 with a time and $4 without, with their reactions. What somebody writes to right
-- now is left for the next pass: nobody waits for us, nor we for them.
with old as (
    select m.page_id, m.mid
    from unnest($2::text[], $3::text[]) as asked (page_id, participant_id)
    join messages m
        on m.participant_id = asked.participant_id collate "C"
        and m.page_id = asked.page_id collate "C" and m.sent_ms < $1
    limit $4
    for update of m skip locked
), old_stubs as (
    select m.page_id, m.mid
    from unnest($2::text[], $3::text[]) as asked (page_id, participant_id)
    join messages m
        on m.participant_id = asked.participant_id collate "C"
        and m.page_id = asked.page_id collate "C" and m.sent_ms is null
    where {stub_ms} < $1
    limit $4
    for update of m skip locked
), gone as (
    delete from messages m
    using (select * from old union all select * from old_stubs) old
    where m.page_id = old.page_id and m.mid = old.mid
    returning m.page_id, m.mid, m.participant_id, m.sent_ms
), unreacted as (
    delete from reactions r using gone where r.page_id = gone.page_id and r.mid = gone.mid
    returning r.mid
)
select
    page_id, participant_id, count(*) as messages, bool_or(sent_ms is not null) as was_shown,
    (select count(*) from unreacted) as reactions
from gone
group by page_id, participant_id;

-- name: lock_conversations
select from conversations where id = any($1::uuid[]) order by page_id, participant_id for update;

-- name: delete_conversations
-- Those of $2 of which nothing is left, and of which nobody has heard since.
with gone as (
    delete from conversations c
    where c.id = any($2::uuid[]) and c.last_sent_ms is null
        and coalesce(greatest(c.updated_ms, c.read_event_ms, c.delivered_watermark_ms), 0) < $1
        and not exists (
            select from messages m
            where m.participant_id = c.participant_id and m.page_id = c.page_id
        )
    returning c.page_id, c.participant_id, c.id
), untagged as (
    delete from conversation_tags w using gone
    where w.page_id = gone.page_id and w.participant_id = gone.participant_id
)
select id from gone;

-- name: delete_events
with gone as (
    delete from events
    where ctid = any(array(select ctid from events where occurred_ms < $1 limit $2))
    returning 1
)
select count(*) from gone;

-- name: delete_dead_letters
with gone as (
    delete from dead_letters
    where id = any(array(select id from dead_letters where received_ms < $1 limit $2))
    returning 1
)
select count(*) from gone;

-- name: insert_changes
-- Who is gone is not named.
insert into changes (page_id, participant_id, conversation_id, kinds)
select gone.page_id, gone.participant_id, gone.id, '{expired}'
from unnest($1::text[], $2::text[], $3::uuid[]) as gone (page_id, participant_id, id);

-- name: raw_partitions
select inhrelid::regclass::text as name from pg_inherits where inhparent = 'raw_events'::regclass;

-- name: insert_audit
insert into audit (action, subject, counts) values ($1, $2, $3::jsonb);
