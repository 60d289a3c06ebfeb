-- name: server
select
    current_setting('server_version') as version,
    current_setting('server_version_num')::int / 10000 as major,
    (select count(*) from pg_stat_activity where backend_type = 'client backend') as connections,
    current_setting('max_connections')::int as most_connections,
    pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as read_only,
    clock_timestamp() as now;

-- name: rhythm
-- When a Page's newest message was sent, and the longest pause between the 50 conversations that
-- were active last: with fewer messages told than there are, a pause can only look longer.
-- And who was in touch last on Messenger.
with newest as (
    select c.last_sent_ms, c.participant_id, c.platform
    from unnest($1::text[]) as ids (page_id)
    cross join lateral (
        select last_sent_ms, participant_id, platform from conversations
        where page_id = ids.page_id collate "C" and last_sent_ms is not null
        order by last_hour desc, coalesce(last_sent_ms, 0) desc, id desc
        limit 50
    ) c
    order by c.last_sent_ms desc
    limit 50
), pauses as (
    select last_sent_ms, last_sent_ms - lead(last_sent_ms) over (order by last_sent_ms desc) as pause
    from newest
)
select
    to_timestamp(max(last_sent_ms) / 1000.0) as last_at,
    max(pause) * interval '1 millisecond' as longest_pause,
    (
        select participant_id from newest
        where platform = 'messenger' and participant_id not like 't:%'
        order by last_sent_ms desc limit 1
    ) as person
from pauses;
