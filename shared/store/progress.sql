-- What syncs have before them.

-- name: expected
-- How many conversations a run will have gone through: what is stored of a Page that was listed
-- whole before, or what a run of another kind has done and finds still open.
select r.id, of_run.total
from sync_runs r
join facebook_pages p on p.facebook_page_id = r.page_id
cross join lateral (
    select array_remove(array[p.facebook_page_id, p.instagram_id], null) as ids,
        coalesce((r.counts->>'total')::int, 0) as done
) known
cross join lateral (
    select case r.mode
        when 'history' then known.done + (
            select count(*) from conversations
            where page_id = any(known.ids) and not history_complete and thread_id is not null
        )
        when 'labels' then known.done + (
            select count(*) from conversations
            where page_id = any(known.ids) and platform = 'messenger' and thread_id is not null
                and (labels_as_of is null or labels_as_of < updated_time)
        )
        when 'profiles' then known.done + (
            select count(*) from conversations
            where page_id = any(known.ids) and participant_name is null and thread_id is not null
                and coalesce(profile_as_of, '-infinity') < clock_timestamp() - interval '7 days'
        )
        else (select count(*) from conversations where page_id = any(known.ids))
    end::int as total
) of_run
where r.id = any($1::uuid[]) and (
    r.mode in ('history', 'labels', 'profiles')
    or r.mode in ('full', 'verify') and exists (
        select from sync_points s
        where s.page_id = r.page_id and s.platform = 'messenger' and s.folder = 'inbox'
            and s.walked_at is not null
    )
);
