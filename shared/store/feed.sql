-- The change feed. Ids and transactions commit in any order, so "everything above the last id seen"
-- would skip what commits later. A reader keeps the snapshot it last looked at instead: what has
-- become visible since is what was still running then ($1's xip) and what began later ($1's xmax).
-- That is exact, and a transaction that stays open elsewhere delays nothing.

-- name: changes_since
-- What became visible from the snapshot $1 to $2 (null: now), above the id $3, at most $4 rows,
-- seen by the Pages $5; one row without an id when there is nothing.
select look.until::text as until, c.*
from (select coalesce($2::text::pg_snapshot, pg_current_snapshot()) as until) look
left join lateral (
    select *
    from (
        select id, page_id, participant_id, conversation_id, kinds, at
        from changes
        where (
                xid >= pg_snapshot_xmax($1::text::pg_snapshot)
                or xid = any(array(select pg_snapshot_xip($1::text::pg_snapshot)))
            )
            and pg_visible_in_snapshot(xid, look.until)
            and id > $3
            and ($5::text[] is null or page_id = any($5))
        offset 0
    ) new
    order by id
    limit $4
) c on true
order by c.id;

-- name: position_is_good
-- Whether nothing that a reader at the transaction $1 has not seen was deleted, and whether it is
-- of this database at all.
select
    $1::text::xid8 > f.through and $1::text::xid8 <= pg_snapshot_xmax(pg_current_snapshot())
from changes_forgotten f;

-- name: now
select pg_current_snapshot()::text;

-- name: forget_changes
-- Delete the oldest rows, those before the time $1, at most $2, and note up to where; says how
-- many went. Ids and times grow together, so the first row that stays ends the search.
with old as (
    select id from changes
    where id < coalesce(
        (select id from changes where at >= $1 order by id limit 1), 9223372036854775807
    )
    order by id
    limit $2
), gone as (
    delete from changes c using old where c.id = old.id returning c.xid
), last as (
    select xid from gone order by xid desc limit 1
), noted as (
    update changes_forgotten f set through = greatest(f.through, last.xid) from last
)
select count(*) from gone;

-- name: consumer
-- Where a consumer stands, and whether it did not move for long; one nobody knows begins now.
insert into feed_consumers as old (name, since) values ($1, pg_current_snapshot())
on conflict (name) do update set name = excluded.name
returning since::text, until::text, after, moved_at < now() - interval '1 hour' as rested;

-- name: move_consumer
update feed_consumers set since = $2::text::pg_snapshot, until = $3::text::pg_snapshot, after = $4,
    moved_at = now()
where name = $1;

-- name: forget_consumer
delete from feed_consumers where name = $1;
