-- What was applied of what the ingresses acknowledged, so that what was lost can be counted.
-- Written with the rows, by insert alone: no two workers wait for each other. Folded into
-- `ingress_boots.applied` every few seconds, so it stays small.
create table applied_spans (
    ingress text not null,
    boot text not null,
    span int8range not null,
    at timestamptz not null default now()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- `lost`: acknowledged, not applied, and in neither place of the backlog any more. `settled_at`:
-- all that was acknowledged before is applied, or counted as lost.
alter table ingress_boots
    add applied int8multirange not null default '{}',
    add lost int8multirange not null default '{}',
    add settled_at timestamptz;

-- How many envelopes a gap is known to lack; null: nobody can tell.
alter table gaps add lost bigint;
