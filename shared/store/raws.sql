-- The items as they came.

-- name: raw_slice
-- Items received since $1, of the Pages $2 (null: all), after the identity $3, at most $4. By
-- identity, which is indexed, and a digest: the last one tells how much is done. Replay may take
-- items in any order.
select identity, bytes, (extract(epoch from received_at) * 1000)::bigint as received_ms
from raw_events
where received_at >= $1 and bytes is not null
    and ($2::text[] is null or page_id = any($2))
    and identity > $3
order by identity
limit $4;
