-- The original system's tags, on the conversations that Facebook still knows: after the first full
-- sync. May be run again. Run as pagewire_operator.
with worn as (
    select distinct o.page_id, o.sender_id as participant_id, t.name
    from old.conversation_tags w
    join old.tags t on t.id = w.tag_id
    join old.messenger_conversations o on o.id = w.conversation_id
    join conversations c on c.page_id = o.page_id and c.participant_id = o.sender_id
), named as (
    insert into tags (page_id, source, key, name, name_as_of_ms)
    select distinct page_id, 'local', name, name, extract(epoch from now())::bigint * 1000
    from worn
    on conflict do nothing
)
insert into conversation_tags (page_id, participant_id, source, key, active, acted_ms)
select page_id, participant_id, 'local', name, true, extract(epoch from now())::bigint * 1000
from worn
on conflict do nothing
returning page_id, participant_id, key;
