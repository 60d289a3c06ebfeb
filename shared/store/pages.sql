-- The Pages. A Page's token is read by `page_token`, `page_tokens` and `replace_token` alone; the
-- rest only writes it, so that a role which serves readers needs no right to read that column.

-- name: known_page_ids
select facebook_page_id as id from facebook_pages where facebook_page_id = any($1::text[])
union
select instagram_id from facebook_pages where instagram_id = any($1::text[]);

-- name: is_page
select exists (select from facebook_pages where facebook_page_id = $1);

-- name: add_page
-- A linked Instagram account that is not told (null) is kept.
insert into facebook_pages as old (facebook_page_id, name, instagram_id)
values ($1, $2, $3)
on conflict (facebook_page_id) do update set
    name = excluded.name,
    instagram_id = coalesce(excluded.instagram_id, old.instagram_id),
    status = 'active',
    status_reason = null
returning id;

-- name: change_page
-- What is not told (null) is kept.
update facebook_pages set name = coalesce($2, name), instagram_id = coalesce($3, instagram_id)
where id = $1
returning id;

-- name: give_token
-- A parked Page goes on with it.
update facebook_pages set
    access_token = $2,
    status = case when status = 'parked' then 'active' else status end,
    status_reason = null
where id = $1;

-- name: find_page
-- By our id ($1), or by either of Facebook's ($2); $3: the Pages that may be seen, null for all.
select
    id, facebook_page_id, instagram_id, name, status, status_reason, is_active, last_synced_at,
    proven_at, proven_level, created_at
from facebook_pages
where (id = $1 or facebook_page_id = $2 or instagram_id = $2)
    and ($3::text[] is null or facebook_page_id = any($3))
order by facebook_page_id = $2 desc
limit 1;

-- name: list_pages
select
    id, facebook_page_id, instagram_id, name, status, status_reason, is_active, last_synced_at,
    proven_at, proven_level, created_at
from facebook_pages
where $1::text[] is null or facebook_page_id = any($1)
order by name, facebook_page_id;

-- name: set_page_status
-- Not of a removed Page: it has no token any more.
update facebook_pages set status = $2, status_reason = null
where id = $1 and status <> 'removed'
returning id;

-- name: remove_page
update facebook_pages set status = 'removed', status_reason = null, access_token = null
where id = $1
returning id;

-- name: page_token
select access_token from facebook_pages where id = $1;

-- name: page_tokens
select id, facebook_page_id, access_token from facebook_pages where access_token is not null;

-- name: replace_token
update facebook_pages set access_token = $3 where id = $1 and access_token = $2 returning id;

-- name: purge_rows
-- A few rows of a Page's (`table` is one of pages.py's own words); says how many went. In a
-- partitioned table the same ctid may lie in several parts: each such row is the Page's too.
with gone as (
    delete from {table}
    where page_id = any($1::text[])
        and ctid = any(array(select ctid from {table} where page_id = any($1::text[]) limit $2))
    returning 1
)
select count(*) from gone;

-- name: purge_page
delete from facebook_pages where id = $1 and status = 'removed';
