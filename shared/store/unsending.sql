-- Taking out what was unsent, wherever else it lies: $1 the Pages, $2 the messages.

-- name: wait_for_unsends
-- Whoever writes what may name a message looks at it after all unsends before are committed …
select pg_advisory_xact_lock_shared(7241932016);

-- name: hold_others_up
-- … and whoever unsends, after all that was written before.
select pg_advisory_xact_lock(7241932016);

-- name: unsent_among
-- Of some Pages' messages (a null Page: of any), those that are unsent.
select m.page_id, m.mid
from unnest($1::text[], $2::text[]) as asked (page_id, mid)
cross join lateral (
    select asked.page_id as id where asked.page_id is not null
    union all
    select entry.id
    from facebook_pages p
    cross join lateral (values (p.facebook_page_id), (p.instagram_id)) entry (id)
    where asked.page_id is null and entry.id is not null
) page
cross join lateral (
    select m.page_id, m.mid from messages m
    where m.page_id = page.id collate "C" and m.mid = asked.mid collate "C"
        and m.deleted_ms is not null
    offset 0
) m;

-- name: forget_unknown_raw_events
-- Items of a kind that nobody knows may name a message where nobody looks for it.
update raw_events r set bytes = null
from unnest($1::text[], $2::text[]) as gone (page_id, mid)
join messages m on m.page_id = gone.page_id collate "C" and m.mid = gone.mid collate "C"
where r.page_id = gone.page_id collate "C"
    and (r.participant_id = m.participant_id or r.participant_id is null)
    and r.mid is null and names_message(r.bytes, gone.mid);

-- name: forget_events
update events e set payload = null
from unnest($1::text[], $2::text[]) as gone (page_id, mid)
join messages m on m.page_id = gone.page_id collate "C" and m.mid = gone.mid collate "C"
where e.page_id = gone.page_id collate "C"
    and (e.participant_id = m.participant_id or e.participant_id is null)
    and names_message(e.payload, gone.mid);

-- name: forget_dead_letters
-- Retried or not, and also where nobody could tell the Page.
delete from dead_letters d
using unnest($1::text[], $2::text[]) as gone (page_id, mid)
where (d.page_id = gone.page_id collate "C" or d.page_id is null)
    and names_message(d.bytes, gone.mid);
