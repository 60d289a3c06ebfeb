-- Dead letters. A letter is open until `resolved_at` is set. One that is being retried is still
-- open (`resolution` 'retrying'), so that a crash in between loses nothing.

-- name: dead_groups
select reason, count(*) as count, min(first_seen) as oldest, max(first_seen) as newest
from dead_letters
where resolved_at is null and ($1::text[] is null or page_id = any($1))
group by reason
order by reason;

-- name: list_dead
-- Open letters, the newest first, before the id $3.
select
    id, source, reason, error, object, page_id, octet_length(bytes) as size,
    to_timestamp(received_ms / 1000.0) as received_at, first_seen, tries, resolved_at, resolution
from dead_letters
where resolved_at is null
    and ($1::text is null or reason = $1)
    and ($2::text[] is null or page_id = any($2))
    and ($3::bigint is null or id < $3)
order by id desc
limit $4;

-- name: show_dead
select
    id, source, reason, error, object, page_id, octet_length(bytes) as size,
    to_timestamp(received_ms / 1000.0) as received_at, first_seen, tries, resolved_at, resolution,
    bytes
from dead_letters
where id = $1 and ($2::text[] is null or page_id = any($2));

-- name: discard_dead
update dead_letters set resolved_at = now(), resolution = 'discarded'
where resolved_at is null
    and ($1::bigint[] is null or id = any($1))
    and ($2::text is null or reason = $2)
    and ($3::text[] is null or page_id = any($3))
returning id;

-- name: take_dead
-- The oldest open letters with an id above $4.
update dead_letters set resolution = 'retrying'
where id in (
    select id from dead_letters
    where resolved_at is null
        and ($1::bigint[] is null or id = any($1))
        and ($2::text is null or reason = $2)
        and ($3::text[] is null or page_id = any($3))
        and id > $4
    order by id
    limit $5
)
returning id, source, reason, object, page_id, bytes, received_ms;

-- name: waiting_dead
-- As take_dead, for the letters whose Page was unknown and is known now.
update dead_letters set resolution = 'retrying'
where id in (
    select d.id
    from dead_letters d
    join facebook_pages p on d.page_id in (p.facebook_page_id, p.instagram_id)
    where d.resolved_at is null and d.reason = 'unknown_page'
        and ($1::text is null or $1 in (p.facebook_page_id, p.instagram_id))
        and d.id > $2
    order by d.id
    limit $3
)
returning id, source, reason, object, page_id, bytes, received_ms;

-- name: acquit_dead
delete from dead_letters where id = any($1::bigint[]);

-- name: retried_dead
-- Not those that failed again in the meantime: their `resolution` is null.
update dead_letters set resolved_at = now(), resolution = 'retried'
where id = any($1::bigint[]) and resolution = 'retrying';
