-- Erasing people, and keeping them erased. The functions are in migrations/0011_privacy.sql.

-- name: erased_among
select of_page, person from erased_among($1::text[], $2::text[]);

-- name: wait_for_writers
-- Shared by every transaction that writes what events tell.
select pg_advisory_xact_lock(7241932015);

-- name: put_up_tombstone
insert into erased (page_id, digest) values ($1, person_digest($2)) on conflict do nothing;

-- name: erase_rows
-- A few rows; `table` and `whose` are erasing.py's own words. In a partitioned table the same ctid
-- may lie in several parts: each such row is the person's too.
with gone as (
    delete from {table}
    where {whose} and ctid = any(array(select ctid from {table} where {whose} limit $3))
    returning 1
)
select count(*) from gone;

-- name: restart_walks
-- The place of a walk names who is being read; without it the walk begins again. A step under way
-- has its place in memory, and finds the tombstone when it writes it.
update sync_runs set cursor = null
where page_id = (
        select facebook_page_id from facebook_pages where $1 in (facebook_page_id, instagram_id)
    )
    and position(to_json($2::text)::text in cursor::text) > 0;

-- name: insert_change
insert into changes (page_id, participant_id, conversation_id, kinds)
values ($1, '', $2, '{erased}');

-- name: insert_erasure
-- The audit line of an erasure.
insert into audit (action, page_id, subject, counts)
values ('erase', $1, encode(person_digest($2), 'hex'), $3::jsonb);

-- name: pages_of_person
-- The entry ids of the Pages that know a person, or know that the person was erased.
select entry.id
from facebook_pages p
cross join lateral (values (p.facebook_page_id), (p.instagram_id)) entry (id)
where entry.id is not null and (
    exists (select from conversations c where c.page_id = entry.id and c.participant_id = $1)
    or exists (select from messages m where m.page_id = entry.id and m.participant_id = $1)
    or exists (select from events e where e.page_id = entry.id and e.participant_id = $1)
    or exists (select from raw_events r where r.page_id = entry.id and r.participant_id = $1)
    or exists (
        select from erased e where e.page_id = entry.id and e.digest = person_digest($1)
    )
)
order by entry.id;
