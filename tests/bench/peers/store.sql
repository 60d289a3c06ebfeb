-- One event in one round trip: the best a consumer of single events can do.
with page as (
    select page_id from pages where page_id = $1
), conversation as (
    insert into conversations as c (page_id, participant_id, last_sent_ms, last_mid)
    select page_id, $3, $5, $2 from page
    on conflict (page_id, participant_id) do update
    set last_sent_ms = excluded.last_sent_ms, last_mid = excluded.last_mid
    where c.last_sent_ms < excluded.last_sent_ms
)
insert into messages (page_id, mid, participant_id, direction, sent_ms, text, attachments)
select page_id, $2, $3, $4, $5, $6, $7 from page
on conflict do nothing
