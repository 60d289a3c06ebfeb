-- Browser sessions. A session is as good as the key it was opened with, and ends with it.

-- name: open_session
with expired as (
    delete from sessions where expires_at < now()
)
insert into sessions (digest, key_id, expires_at)
select $1, k.id, least(now() + $3::interval, k.expires_at)
from api_keys k
where k.id = $2
returning expires_at;

-- name: find_session
select
    k.id, k.name, k.scope, k.pages, k.created_at, k.expires_at, k.revoked_at, k.last_used_at,
    s.expires_at as session_expires_at
from sessions s
join api_keys k on k.id = s.key_id
where s.digest = $1 and s.expires_at > now()
    and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());

-- name: close_session
delete from sessions where digest = $1;
