-- Whoever serves readers asks whether a Page has a token, and needs no right to the token itself.
alter table facebook_pages
    add column has_token boolean not null generated always as (not access_token is null) stored;

-- Where the search for expired messages is: it goes through the conversations by their key, in one
-- pass an hour, and a pass may take many rounds.
create table expiry (
    only_row boolean primary key default true check (only_row),
    page_id text collate "C" not null default '',
    participant_id text collate "C" not null default '',
    ended_at timestamptz not null default '-infinity'
);

insert into expiry default values;

-- Whether bytes name a message: some bodies leave its `m_` out, and PHP writes `/` as `\/`.
create function names_message(content bytea, mid text) returns boolean
immutable language sql as $$
    select position(convert_to(bare, 'UTF8') in content) > 0
        or position(convert_to(replace(bare, '/', '\/'), 'UTF8') in content) > 0
    from regexp_replace(mid, '^m_', '') as bare
$$;
