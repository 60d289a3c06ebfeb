-- Facebook's deauthorize and data-deletion callbacks.

-- name: insert_requests
-- Each once, with its audit line; of a data deletion we know the person, or somebody must find out.
with new as (
    insert into privacy_requests (code, kind, user_id, status, received_at)
    select
        asked.code, asked.kind, asked.user_id,
        case
            when asked.kind = 'deauthorize' then 'recorded'
            when exists (select from app_users a where a.user_id = asked.user_id) then 'received'
            else 'unresolved'
        end,
        to_timestamp(asked.received_ms / 1000.0)
    from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
        as asked (code, kind, user_id, received_ms)
    order by asked.code
    on conflict (code) do nothing
    returning code, kind, status
), noted as (
    insert into audit (action, subject) select kind, code from new
)
select kind, status from new;

-- name: received_requests
-- Data deletions that can be done, with whom they are about.
select r.code, a.page_id, a.participant_id
from privacy_requests r
left join app_users a on a.user_id = r.user_id
where r.status = 'received'
order by r.code;

-- name: finish_request
with done as (
    update privacy_requests set status = 'erased', finished_at = now()
    where code = $1 and kind = 'data_deletion' and status <> 'erased'
    returning code
)
insert into audit (action, subject) select 'data_deletion_done', code from done
returning subject;

-- name: request_status
select status, received_at, finished_at from privacy_requests
where code = $1 and kind = 'data_deletion';
