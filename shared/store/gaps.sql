-- name: open_gaps
select id, from_at, pages from gaps where repaired_at is null order by id limit 100;

-- name: gap_pages
-- The active Pages a gap concerns, by any of their ids; all of them where it names none.
select facebook_page_id from facebook_pages
where is_active
    and ($1::text[] is null or facebook_page_id = any($1) or instagram_id = any($1));

-- name: close_gap
update gaps set repaired_at = now() where id = $1;
