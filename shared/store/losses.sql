-- Which acknowledged envelopes were applied, and which are lost.

-- name: fold
-- Spans of a boot that is not written down yet wait for it, but not for ever.
with folded as (
    delete from applied_spans s using ingress_boots b
    where s.ingress = b.ingress and s.boot = b.boot
    returning s.ingress, s.boot, s.span
), forgotten as (
    delete from applied_spans s
    where s.at < now() - interval '1 day' and not exists (
        select from ingress_boots b where b.ingress = s.ingress and b.boot = s.boot
    )
), spans as (
    select ingress, boot, range_agg(span) as applied from folded group by ingress, boot
)
update ingress_boots b set applied = b.applied + spans.applied
from spans where b.ingress = spans.ingress and b.boot = spans.boot;

-- name: settle
update ingress_boots set settled_at = seen_at
where acked - applied - lost = '{}' and settled_at is distinct from seen_at;

-- name: owed
select ingress, boot, (acked - applied - lost)::text as envelopes
from ingress_boots where acked - applied - lost <> '{}';

-- name: count_as_lost
-- A gap for each boot that lost something, from the last moment when it owed nothing. One minute
-- more, since a delivery may have been under way then.
with found as (
    select b.ingress, b.boot, owed.envelopes - b.applied - b.lost as envelopes,
        coalesce(b.settled_at, b.started_at) as since
    from unnest($1::text[], $2::text[], $3::text[]) as given (ingress, boot, envelopes)
    join ingress_boots b on b.ingress = given.ingress and b.boot = given.boot,
    lateral (select given.envelopes::int8multirange as envelopes) owed
    where owed.envelopes - b.applied - b.lost <> '{}'
), counted as (
    select ingress, since, sum(upper(span) - lower(span)) as envelopes
    from found, unnest(envelopes) as span group by ingress, boot, since
), written as (
    update ingress_boots b set lost = b.lost + found.envelopes
    from found where b.ingress = found.ingress and b.boot = found.boot
)
insert into gaps (cause, ingress, from_at, until_at, lost)
select 'envelopes_lost', ingress, since - interval '1 minute', now(), envelopes from counted
returning lost;

-- name: lost
-- What was given up and came all the same, late, is not lost.
select coalesce(sum(upper(span) - lower(span)), 0)::bigint as envelopes
from ingress_boots, unnest(lost - applied) as span;
