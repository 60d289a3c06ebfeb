-- What people do to conversations. $1 as in reading.sql: the Pages whose rows may be touched. Each
-- statement returns the conversation and whether it changed, and tells the feed if so.

-- name: put_tag
with mine as (
    select page_id, participant_id, id from conversations
    where ($1::text[] is null or page_id = any($1)) and id = $2
), known as (
    insert into tags (page_id, source, key, name, name_as_of_ms)
    select page_id, 'local', $3, $3, (extract(epoch from now()) * 1000)::bigint from mine
    on conflict (page_id, source, key) do nothing
), worn as (
    insert into conversation_tags as old (page_id, participant_id, source, key, active, acted_ms)
    select page_id, participant_id, 'local', $3, true, (extract(epoch from now()) * 1000)::bigint
    from mine
    on conflict (page_id, participant_id, source, key) do update set
        active = true, acted_ms = greatest(excluded.acted_ms, old.acted_ms + 1)
    where not old.active
    returning page_id
), told as (
    insert into changes (page_id, participant_id, conversation_id, kinds)
    select page_id, participant_id, id, array['tag'] from mine where exists (select from worn)
)
select page_id, id, exists (select from worn) as changed from mine;

-- name: delete_tag
-- `labelled`: the Page has a label of this name on the conversation, which only Facebook can take.
with mine as (
    select page_id, participant_id, id from conversations
    where ($1::text[] is null or page_id = any($1)) and id = $2
), worn as (
    update conversation_tags w set
        active = false,
        acted_ms = greatest((extract(epoch from now()) * 1000)::bigint, w.acted_ms + 1)
    from mine
    where w.page_id = mine.page_id and w.participant_id = mine.participant_id
        and w.source = 'local' and w.key = $3 and w.active
    returning w.page_id
), told as (
    insert into changes (page_id, participant_id, conversation_id, kinds)
    select page_id, participant_id, id, array['tag'] from mine where exists (select from worn)
)
select page_id, id, exists (select from worn) as changed, exists (
    select from conversation_tags w
    join tags t on t.page_id = w.page_id and t.source = w.source and t.key = w.key
    where w.page_id = mine.page_id and w.participant_id = mine.participant_id
        and w.source = 'facebook' and w.active and t.name = $3
) as labelled
from mine;

-- name: mark_seen
-- Never back, never into the future.
with mine as (
    select page_id, participant_id, id from conversations
    where ($1::text[] is null or page_id = any($1)) and id = $2
), seen as (
    update conversations c set seen_at = least($3::timestamptz, now())
    from mine
    where c.page_id = mine.page_id and c.participant_id = mine.participant_id
        and c.seen_at is distinct from greatest(c.seen_at, least($3::timestamptz, now()))
    returning c.page_id
), told as (
    insert into changes (page_id, participant_id, conversation_id, kinds)
    select page_id, participant_id, id, array['seen'] from mine where exists (select from seen)
)
select page_id, id, exists (select from seen) as changed from mine;
