-- name: create_key
insert into api_keys (id, name, digest, scope, pages, expires_at)
values ($1, $2, $3, $4, $5, $6)
returning id, name, scope, pages, created_at, expires_at, revoked_at, last_used_at;

-- name: find_key
select
    id, name, scope, pages, created_at, expires_at, revoked_at, last_used_at,
    last_used_at is null or last_used_at < now() - interval '1 minute' as unnoted
from api_keys
where digest = $1 and revoked_at is null and (expires_at is null or expires_at > now());

-- name: note_key_use
update api_keys set last_used_at = now()
where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute');

-- name: list_keys
select id, name, scope, pages, created_at, expires_at, revoked_at, last_used_at
from api_keys
order by created_at, id;

-- name: keys_called
-- By the start of the id, dashes left out: the first eight digits stand in the key itself.
select id from api_keys where starts_with(replace(id::text, '-', ''), $1) limit 2;

-- name: revoke_key
update api_keys set revoked_at = coalesce(revoked_at, now())
where id = $1
returning id, name, scope, pages, created_at, expires_at, revoked_at, last_used_at;
