-- Every statement by name. Rows come as one array a column (unnest), sorted by key, so that two
-- writers never wait for each other in a circle; the `like` statements of one row shape keep the
-- field order of rows.py. Plans are made once, on tables that may be empty then, and kept: lookups
-- are lateral joins, and conversations are found by `id`, which only one index knows.

-- name: look
-- What is stored of a batch, in one row: who is erased, which raw items are kept (a redelivery comes
-- within two days), and messages and conversations in the shapes of MessageRow (attachments stand
-- for themselves by their digest) and ConversationRow. Items that are all kept were written with
-- what they tell: nothing else is looked for then.
with kept as materialized (
    select new.identity
    from unnest($3::uuid[]) as new (identity)
    cross join lateral (
        select from raw_events r
        where r.identity = new.identity
            and r.received_at > $4::timestamptz and r.received_at < $5::timestamptz
        limit 1
    ) r
), news as materialized (
    select cardinality($3) = 0 or (select count(*) from kept) < cardinality($3) as any
)
select
    array(select row(of_page, person) from erased_among($1::text[], $2::text[])) as erased,
    array(select identity from kept) as kept,
    array(
        select row(
            m.page_id, m.mid, m.platform, m.source, m.source_rank, m.participant_id, m.direction,
            m.kind, m.reply_to_mid, m.app_id, m.extra::text, m.sent_ms, m.sent_exact, m.text,
            m.text_as_of_ms, m.text_num_edit, m.text_rank, null::text,
            m.attachments_digest, m.attachments_key, m.attachments_as_of_ms, m.attachments_rank,
            m.num_edit, m.edited_ms, m.deleted_ms, m.unreadable_ms, m.read_ms
        )
        from unnest($6::text[], $7::text[]) as new (page_id, mid)
        cross join lateral (
            select * from messages m
            where m.page_id = new.page_id collate "C" and m.mid = new.mid collate "C"
            offset 0
        ) m
        where (select news.any from news)
    ) as messages,
    array(
        select row(
            c.page_id, c.participant_id, c.platform, c.thread_id, c.participant_name,
            c.name_as_of_ms, c.updated_ms, c.updated_as_of_ms, c.last_sent_ms, c.last_mid,
            c.last_in_ms, c.last_out_ms, c.read_event_ms, c.delivered_watermark_ms
        )
        from unnest($8::uuid[]) as new (id)
        cross join lateral (select * from conversations c where c.id = new.id offset 0) c
        where (select news.any from news)
    ) as conversations;

-- name: write
-- Joins messages by MessageRow.join and conversations by ConversationRow.join into what is stored;
-- keeps the raw items, tells of the changes, and notes which envelopes are applied so. Returns the
-- messages that were there before, as they are now, and which conversations were not: `xmax = 0`
-- tells a new row. As statements of their own these were half of what a small batch cost. The rows
-- come in the order of their keys: sorting them here would copy each once more.
-- It undoes itself where one of these people was erased since the look, and, if no message may be
-- there yet ($58), where one is. Nobody is erased from then on until the transaction ends.
with written as (
    insert into messages as old (
        page_id, mid, platform, source, source_rank, participant_id, direction,
        kind, reply_to_mid, app_id, extra, sent_ms, sent_exact, text,
        text_as_of_ms, text_num_edit, text_rank, attachments, attachments_digest, attachments_key,
        attachments_as_of_ms, attachments_rank, num_edit, edited_ms, deleted_ms, unreadable_ms, read_ms
    )
    select
        page_id, mid, platform, source, source_rank, participant_id, direction,
        kind, reply_to_mid, app_id, extra::json, sent_ms, sent_exact, text,
        text_as_of_ms, text_num_edit, text_rank, attachments::jsonb, attachments_digest, attachments_key,
        attachments_as_of_ms, attachments_rank, num_edit, edited_ms, deleted_ms, unreadable_ms, read_ms
    from unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::boolean[], $14::text[],
        $15::bigint[], $16::int[], $17::smallint[], $18::text[], $19::bytea[], $20::bytea[],
        $21::bigint[], $22::smallint[], $23::int[], $24::bigint[], $25::bigint[], $26::bigint[],
        $27::bigint[]
    ) as new (
        page_id, mid, platform, source, source_rank, participant_id, direction,
        kind, reply_to_mid, app_id, extra, sent_ms, sent_exact, text,
        text_as_of_ms, text_num_edit, text_rank, attachments, attachments_digest, attachments_key,
        attachments_as_of_ms, attachments_rank, num_edit, edited_ms, deleted_ms, unreadable_ms, read_ms
    )
    on conflict (page_id, mid) do update set
        (source, source_rank, participant_id, direction, kind, reply_to_mid, app_id) = row(
            case when excluded.source_rank > old.source_rank then excluded.source
                when excluded.source_rank < old.source_rank then old.source
                else least(old.source, excluded.source) end,
            greatest(old.source_rank, excluded.source_rank),
            case when excluded.source_rank > old.source_rank then excluded.participant_id
                when excluded.source_rank < old.source_rank then old.participant_id
                else least(old.participant_id, excluded.participant_id) end,
            case when excluded.source_rank > old.source_rank then excluded.direction
                when excluded.source_rank < old.source_rank then old.direction
                else least(old.direction, excluded.direction) end,
            case when excluded.source_rank > old.source_rank then excluded.kind
                when excluded.source_rank < old.source_rank then old.kind
                else least(old.kind, excluded.kind) end,
            case when excluded.source_rank > old.source_rank then excluded.reply_to_mid
                when excluded.source_rank < old.source_rank then old.reply_to_mid
                else least(old.reply_to_mid, excluded.reply_to_mid) end,
            case when excluded.source_rank > old.source_rank then excluded.app_id
                when excluded.source_rank < old.source_rank then old.app_id
                else least(old.app_id, excluded.app_id) end
        ),
        extra = case
            when coalesce(old.deleted_ms, excluded.deleted_ms) is not null then null
            when excluded.source_rank > old.source_rank then excluded.extra
            when excluded.source_rank < old.source_rank then old.extra
            else least(old.extra::text collate "C", excluded.extra::text collate "C")::json end,
        sent_ms = case
            when excluded.sent_exact > old.sent_exact then excluded.sent_ms
            when excluded.sent_exact < old.sent_exact then old.sent_ms
            else least(old.sent_ms, excluded.sent_ms) end,
        sent_exact = greatest(old.sent_exact, excluded.sent_exact),
        (text, text_as_of_ms, text_num_edit, text_rank) = (
            select t.text, t.as_of_ms, t.num_edit, t.rank
            from (values
                (old.text, old.text_as_of_ms, old.text_num_edit, old.text_rank),
                (excluded.text, excluded.text_as_of_ms, excluded.text_num_edit, excluded.text_rank),
                (null, null, null, null)
            ) as t (text, as_of_ms, num_edit, rank)
            where coalesce(old.deleted_ms, excluded.deleted_ms) is null or t.text is null
            order by t.as_of_ms desc nulls last, t.num_edit desc, t.rank desc, t.text collate "C" desc
            limit 1
        ),
        (
            attachments, attachments_digest, attachments_key, attachments_as_of_ms, attachments_rank
        ) = (
            select a.attachments, a.digest, a.key, a.as_of_ms, a.rank
            from (values
                (
                    old.attachments, old.attachments_digest, old.attachments_key,
                    old.attachments_as_of_ms, old.attachments_rank
                ),
                (
                    excluded.attachments, excluded.attachments_digest, excluded.attachments_key,
                    excluded.attachments_as_of_ms, excluded.attachments_rank
                ),
                (null, null, null, null, null)
            ) as a (attachments, digest, key, as_of_ms, rank)
            where coalesce(old.deleted_ms, excluded.deleted_ms) is null or a.digest is null
            order by a.as_of_ms desc nulls last, a.rank desc, a.digest desc
            limit 1
        ),
        num_edit = greatest(old.num_edit, excluded.num_edit),
        edited_ms = greatest(old.edited_ms, excluded.edited_ms),
        deleted_ms = least(old.deleted_ms, excluded.deleted_ms),
        unreadable_ms = least(old.unreadable_ms, excluded.unreadable_ms),
        read_ms = least(old.read_ms, excluded.read_ms)
    returning
        case when xmax <> 0 then row(
            page_id, mid, participant_id, direction, kind, reply_to_mid, sent_ms, text,
            attachments_key, num_edit, deleted_ms, unreadable_ms, read_ms
        ) end as became
), told as (
    insert into conversations as old (
        page_id, participant_id, id, platform, thread_id, participant_name, name_as_of_ms,
        updated_ms, updated_as_of_ms, last_sent_ms, last_mid, last_in_ms, last_out_ms,
        read_event_ms, delivered_watermark_ms
    )
    select
        new.page_id, new.participant_id, new.id, new.platform, new.thread_id, new.participant_name,
        new.name_as_of_ms, new.updated_ms, new.updated_as_of_ms, new.last_sent_ms, new.last_mid,
        new.last_in_ms, new.last_out_ms, new.read_event_ms, new.delivered_watermark_ms
    from unnest(
        $28::text[], $29::text[], $30::text[], $31::text[], $32::text[], $33::bigint[], $34::bigint[],
        $35::bigint[], $36::bigint[], $37::text[], $38::bigint[], $39::bigint[], $40::bigint[],
        $41::bigint[], $42::uuid[]
    ) as new (
        page_id, participant_id, platform, thread_id, participant_name, name_as_of_ms, updated_ms,
        updated_as_of_ms, last_sent_ms, last_mid, last_in_ms, last_out_ms, read_event_ms,
        delivered_watermark_ms, id
    )
    on conflict (page_id, participant_id) do update set
        thread_id = least(old.thread_id, excluded.thread_id),
        participant_name = case
            when (excluded.name_as_of_ms, excluded.participant_name)
                > (old.name_as_of_ms, old.participant_name collate "C")
                or old.name_as_of_ms is null
            then excluded.participant_name else old.participant_name end,
        name_as_of_ms = greatest(old.name_as_of_ms, excluded.name_as_of_ms),
        updated_ms = greatest(old.updated_ms, excluded.updated_ms),
        updated_as_of_ms = case
            when (excluded.updated_ms, excluded.updated_as_of_ms)
                > (old.updated_ms, old.updated_as_of_ms)
                or old.updated_ms is null
            then excluded.updated_as_of_ms else old.updated_as_of_ms end,
        last_sent_ms = greatest(old.last_sent_ms, excluded.last_sent_ms),
        last_mid = case
            when (excluded.last_sent_ms, excluded.last_mid) > (old.last_sent_ms, old.last_mid)
                or old.last_sent_ms is null
            then excluded.last_mid else old.last_mid end,
        last_in_ms = greatest(old.last_in_ms, excluded.last_in_ms),
        last_out_ms = greatest(old.last_out_ms, excluded.last_out_ms),
        read_event_ms = greatest(old.read_event_ms, excluded.read_event_ms),
        delivered_watermark_ms = greatest(
            old.delivered_watermark_ms, excluded.delivered_watermark_ms
        )
    returning case when xmax = 0 then row(page_id, participant_id) end as is_new
), kept as (
    insert into raw_events (received_at, identity, object, page_id, participant_id, mid, bytes)
    select
        to_timestamp(new.received_ms / 1000.0), new.identity, new.object, new.page_id,
        new.participant_id, new.mid, new.bytes
    from unnest(
        $43::bigint[], $44::uuid[], $45::text[], $46::text[], $47::text[], $48::text[], $49::bytea[]
    ) as new (received_ms, identity, object, page_id, participant_id, mid, bytes)
    on conflict do nothing
), announced as (
    insert into changes (page_id, participant_id, conversation_id, kinds)
    select new.page_id, new.participant_id, new.id, string_to_array(new.kinds, ',')
    from unnest($50::text[], $51::text[], $52::uuid[], $53::text[])
        as new (page_id, participant_id, id, kinds)
), applied as (
    insert into applied_spans (ingress, boot, span)
    select new.ingress, new.boot, int8range(new.first, new.past)
    from unnest($54::text[], $55::text[], $56::bigint[], $57::bigint[])
        as new (ingress, boot, first, past)
)
select
    array(select became from written where became is distinct from null) as messages,
    array(select is_new from told where is_new is distinct from null) as conversations,
    undo_unless(
        not exists (select from erased_among($59::text[], $60::text[]))
        and not ($58::boolean and exists (select from written where became is distinct from null))
    );

-- name: upsert_reactions
-- Joins reactions by ReactionRow.join; returns those that were written.
insert into reactions as old (
    page_id, mid, actor_id, participant_id, acted_ms, active, reaction, emoji
)
select new.*
from unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::boolean[], $7::text[],
    $8::text[]
) as new (page_id, mid, actor_id, participant_id, acted_ms, active, reaction, emoji)
left join lateral (
    select * from reactions r
    where r.page_id = new.page_id collate "C" and r.mid = new.mid collate "C"
        and r.actor_id = new.actor_id collate "C"
    offset 0
) known on true
where known.mid is null
    or (
        known.acted_ms, known.active, coalesce(known.reaction, ''), coalesce(known.emoji, ''),
        known.participant_id
    ) < (
        new.acted_ms, new.active, coalesce(new.reaction, '') collate "C",
        coalesce(new.emoji, '') collate "C", new.participant_id collate "C"
    )
order by new.page_id collate "C", new.mid collate "C", new.actor_id collate "C"
on conflict (page_id, mid, actor_id) do update set
    participant_id = excluded.participant_id, acted_ms = excluded.acted_ms,
    active = excluded.active, reaction = excluded.reaction, emoji = excluded.emoji
where (
    old.acted_ms, old.active, coalesce(old.reaction, ''), coalesce(old.emoji, ''),
    old.participant_id
) < (
    excluded.acted_ms, excluded.active, coalesce(excluded.reaction, ''),
    coalesce(excluded.emoji, ''), excluded.participant_id
)
returning page_id, mid, participant_id;

-- name: recount_conversations
-- Where a stored message changed, the conversation's end is counted anew from its messages, which
-- may move it back; the rows are locked by the upsert before.
update conversations as c set
    last_sent_ms = now.last_sent_ms, last_mid = now.last_mid, last_in_ms = now.last_in_ms,
    last_out_ms = now.last_out_ms, read_mid_ms = now.read_mid_ms
from (
    select
        k.id, last.sent_ms as last_sent_ms, last.mid as last_mid,
        (
            select max(m.sent_ms) from messages m
            where m.page_id = k.page_id collate "C"
                and m.participant_id = k.participant_id collate "C" and m.direction = 'in'
        ) as last_in_ms,
        (
            select max(m.sent_ms) from messages m
            where m.page_id = k.page_id collate "C"
                and m.participant_id = k.participant_id collate "C" and m.direction = 'out'
        ) as last_out_ms,
        (
            select max(m.sent_ms) from messages m
            where m.page_id = k.page_id collate "C"
                and m.participant_id = k.participant_id collate "C" and m.read_ms is not null
        ) as read_mid_ms
    from unnest($1::text[], $2::text[], $3::uuid[]) as k (page_id, participant_id, id)
    left join lateral (
        select m.sent_ms, m.mid from messages m
        where m.page_id = k.page_id collate "C"
            and m.participant_id = k.participant_id collate "C" and m.sent_ms is not null
        order by m.sent_ms desc, m.mid desc
        limit 1
    ) last on true
) now
where c.id = now.id
    and (c.last_sent_ms, c.last_mid, c.last_in_ms, c.last_out_ms, c.read_mid_ms)
    is distinct from
    (now.last_sent_ms, now.last_mid, now.last_in_ms, now.last_out_ms, now.read_mid_ms)
returning c.page_id, c.participant_id;

-- name: wearers_of_renamed
-- Who wears the labels whose names are about to change, or to become known.
select w.page_id, w.participant_id
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
    as new (page_id, source, key, name, name_as_of_ms)
cross join lateral (
    select * from tags t
    where t.page_id = new.page_id collate "C" and t.source = new.source collate "C"
        and t.key = new.key collate "C"
        and t.name is distinct from new.name and new.name is not null
        and (t.name is null or t.name_as_of_ms <= new.name_as_of_ms)
    offset 0
) t
join conversation_tags w
    on w.page_id = t.page_id and w.source = t.source and w.key = t.key and w.active;

-- name: upsert_tags
insert into tags as old (page_id, source, key, name, name_as_of_ms)
select new.*
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
    as new (page_id, source, key, name, name_as_of_ms)
order by new.page_id collate "C", new.source collate "C", new.key collate "C"
on conflict (page_id, source, key) do update set
    name = excluded.name, name_as_of_ms = excluded.name_as_of_ms
where (old.name is not null, old.name_as_of_ms, coalesce(old.name, ''))
    < (excluded.name is not null, excluded.name_as_of_ms, coalesce(excluded.name, ''))
returning page_id, source, key;

-- name: upsert_conversation_tags
insert into conversation_tags as old (page_id, participant_id, source, key, active, acted_ms)
select new.*
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::bigint[])
    as new (page_id, participant_id, source, key, active, acted_ms)
order by
    new.page_id collate "C", new.participant_id collate "C", new.source collate "C",
    new.key collate "C"
on conflict (page_id, participant_id, source, key) do update set
    active = excluded.active, acted_ms = excluded.acted_ms
where (old.acted_ms, old.active) < (excluded.acted_ms, excluded.active)
returning page_id, participant_id;

-- name: insert_events
insert into events (
    page_id, event_key, platform, kind, participant_id, occurred_ms, payload, understood
)
select new.*
from unnest(
    $1::text[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bytea[],
    $8::boolean[]
) as new (
    page_id, event_key, platform, kind, participant_id, occurred_ms, payload, understood
)
where not exists (
    select from events e
    where e.page_id = new.page_id collate "C" and e.event_key = new.event_key
)
order by new.page_id collate "C", new.event_key
on conflict (page_id, event_key) do nothing;

-- name: hold_messages
-- Locks stored messages until the end; returns those that are unsent. If another transaction is
-- about to commit an unsend, that is waited for.
with held as (
    select m.page_id, m.mid, m.deleted_ms
    from unnest($1::text[], $2::text[]) as asked (page_id, mid)
    join messages m
        on m.page_id = asked.page_id collate "C" and m.mid = asked.mid collate "C"
    order by m.page_id, m.mid
    for no key update of m
)
select page_id, mid from held where deleted_ms is not null;

-- name: forget_new_raw_events
-- Raw items just written ($1) lose their content where their message is unsent; all such messages
-- are locked already.
update raw_events r set bytes = null
from messages m
where r.identity = any($1::uuid[]) and r.received_at > $2::timestamptz
    and m.page_id = r.page_id and m.mid = r.mid and m.deleted_ms is not null;

-- name: forget_raw_events
-- An unsent message's content goes from the raw copies too, but for the unsends themselves ($3).
update raw_events r set bytes = null
from unnest($1::text[], $2::text[]) as gone (page_id, mid)
where r.page_id = gone.page_id collate "C" and r.mid = gone.mid collate "C"
    and r.bytes is not null and r.identity <> all($3::uuid[]);

-- name: insert_dead_letters
-- A letter that is retried and fails again is open again; one that is open, or was discarded,
-- stays as it is.
insert into dead_letters as old
    (digest, source, reason, error, object, page_id, bytes, received_ms)
select distinct on (digest)
    digest, source, reason, error, object, page_id, bytes, received_ms
from unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::bigint[]
) as new (source, reason, error, object, page_id, bytes, received_ms),
lateral (
    select sha256(
        convert_to(source || ' ' || reason || ' ' || coalesce(page_id, '') || ' ', 'UTF8') || bytes
    ) as digest
) identity
order by digest
on conflict (digest) do update set
    error = excluded.error,
    tries = old.tries + 1,
    resolved_at = null,
    resolution = null
where old.resolution in ('retrying', 'retried')
returning id;
