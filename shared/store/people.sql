-- What is still to be asked of single people, newest conversations first.

-- name: labels_due
-- People whose conversation changed since their labels were last read.
select page_id, platform, participant_id, thread_id
from conversations
where page_id = any($1::text[]) and platform = 'messenger' and thread_id is not null
    and (labels_as_of is null or labels_as_of < updated_time)
    and participant_id <> all($2::text[])
order by last_hour desc, coalesce(last_sent_ms, 0) desc
limit $3;

-- name: names_due
-- People nobody named; who was asked for in vain is asked for again after a week.
select page_id, platform, participant_id, thread_id
from conversations
where page_id = any($1::text[]) and participant_name is null and thread_id is not null
    and coalesce(profile_as_of, '-infinity') < clock_timestamp() - interval '7 days'
    and participant_id <> all($2::text[])
order by last_hour desc, coalesce(last_sent_ms, 0) desc
limit $3;

-- name: labels_asked
update conversations set labels_as_of = $3 where page_id = $1 and participant_id = $2;

-- name: names_asked
update conversations set profile_as_of = $3 where page_id = $1 and participant_id = $2;

-- name: worn_labels
select key from conversation_tags
where page_id = $1 and participant_id = $2 and source = 'facebook' and active;
