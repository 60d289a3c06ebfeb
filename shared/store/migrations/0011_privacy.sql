-- Who was erased, what Facebook asked of us about people, and what was done.

create table erasure_salt (
    only_row boolean primary key default true check (only_row),
    salt bytea not null
);

insert into erasure_salt (salt)
values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- With another salt nobody would be known as erased any more, and everybody could come back.
create rule erasure_salt_stays as on update to erasure_salt do instead nothing;
create rule erasure_salt_is_kept as on delete to erasure_salt do instead nothing;

-- Erased people, so that no replay, redelivery or sync brings them back. The id itself is gone too.
create table erased (
    page_id text collate "C" not null,
    digest bytea not null,
    at timestamptz not null default now(),
    primary key (digest, page_id)
);

create function person_digest(person text) returns bytea stable language sql as $$
    select sha256(salt || convert_to(person, 'UTF8')) from erasure_salt
$$;

-- Which of these people are erased; a null Page means any. Whoever asked holds the lock until the
-- end of its transaction, and the erasure waits for it: what is written before goes with the rest,
-- what is written after has seen the tombstone. In a volatile function each statement sees what was
-- committed before it, so the look is not older than the lock.
create function erased_among(pages text[], people text[])
returns table (of_page text, person text) language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(7241932015);
    if exists (select from erased) then
        return query
            select asked.page_id, asked.person
            from unnest(pages, people) as asked (page_id, person)
            where exists (
                select from erased e
                where e.digest = person_digest(asked.person)
                    and (asked.page_id is null or e.page_id = asked.page_id collate "C")
            );
    end if;
end
$$;

-- Whether bytes that belong to nobody by name hold a person's id: a number of its own, not a part
-- of a longer one. `shared.store.erasing` reads numbers the same way.
create function names_person(content bytea, person text) returns boolean
immutable language sql as $$
    select person ~ '^[0-9]{5,}$'
        and position(convert_to(person, 'UTF8') in content) > 0
        and encode(content, 'escape') ~ ('(?<![0-9])' || person || '(?![0-9])')
$$;

-- For what is unsent, and may lie in a letter of its Page.
create index dead_letters_page on dead_letters (page_id);

-- A deauthorize or data-deletion callback, once each. `user_id` is app-scoped: no PSID.
create table privacy_requests (
    code text primary key,
    kind text not null check (kind in ('deauthorize', 'data_deletion')),
    user_id text not null,
    status text not null check (status in ('recorded', 'unresolved', 'received', 'erased')),
    received_at timestamptz not null,
    finished_at timestamptz
);

create index privacy_requests_received on privacy_requests (code) where status = 'received';

-- Who an app-scoped user is to our Pages. Facebook tells it to nobody by itself: filled in by whoever
-- knows it, from Graph's ids_for_pages or from a login of their own.
create table app_users (
    user_id text not null,
    page_id text collate "C" not null,
    participant_id text collate "C" not null,
    primary key (user_id, page_id, participant_id)
);

-- What was done about people, without a word of what they said. `subject` is a digest or a code.
create table audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    action text not null,
    page_id text,
    subject text not null,
    counts jsonb not null default '{}'
);
