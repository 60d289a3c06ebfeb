-- The two tables of every peer, and the Pages they look up.
create table pages (
    page_id text collate "C" primary key
);

create table conversations (
    page_id text collate "C" not null,
    participant_id text collate "C" not null,
    last_sent_ms bigint not null,
    last_mid text not null,
    primary key (page_id, participant_id)
);

create table messages (
    page_id text collate "C" not null,
    mid text collate "C" not null,
    participant_id text collate "C" not null,
    direction text not null,
    sent_ms bigint not null,
    text text,
    attachments jsonb,
    primary key (page_id, mid)
);

create index messages_thread on messages (participant_id, page_id, sent_ms desc);
