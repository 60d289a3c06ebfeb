-- What a new message need not write.

-- An index that holds a conversation's last message, even one for a few rows, makes every update of
-- the conversation write to all its indexes (no HOT update). By the hour it seldom does.
drop index conversations_open_history;
drop index conversations_labels_due;
drop index conversations_names_due;

create index conversations_open_history on conversations (page_id, last_hour desc)
    where not history_complete and thread_id is not null;
create index conversations_labels_due on conversations (page_id, last_hour desc)
    where platform = 'messenger' and thread_id is not null
        and (labels_as_of is null or labels_as_of < updated_time);
create index conversations_names_due on conversations (page_id, last_hour desc)
    where participant_name is null and thread_id is not null;

-- A mid is long, random and only ever looked up whole: an index of hashes takes half the room.
drop index raw_events_mid;
create index raw_events_mid on raw_events using hash (mid);
