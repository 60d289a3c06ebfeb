-- A raw item is kept once, though two workers write it at the same moment: an entry that an ingress
-- sent again may be in other hands than the first one. Nothing unique can span the days of
-- `raw_events`; within a day each partition sees to it itself.
delete from raw_events later using raw_events first
where later.identity = first.identity and later.tableoid = first.tableoid
    and later.ctid > first.ctid;

drop index raw_events_identity;

do $$
declare
    part regclass;
begin
    for part in select inhrelid from pg_inherits where inhparent = 'raw_events'::regclass loop
        execute format('create unique index on %s (identity)', part);
    end loop;
end
$$;

create or replace function keep_raw_partitions(now timestamptz, keep interval) returns void
language plpgsql as $$
declare
    day date;
    part text;
    old record;
begin
    for day in select generate_series(0, 7) + (now at time zone 'utc')::date loop
        part := 'raw_events_' || to_char(day, 'YYYYMMDD');
        if to_regclass(part) is null
            and not exists (
                select from raw_events_default
                where received_at >= day::timestamp at time zone 'utc'
                    and received_at < (day + 1)::timestamp at time zone 'utc'
            )
        then
            execute format(
                'create table %I partition of raw_events for values from (%L) to (%L)',
                part,
                day::timestamp at time zone 'utc',
                (day + 1)::timestamp at time zone 'utc'
            );
            execute format('create unique index on %I (identity)', part);
        end if;
    end loop;
    for old in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'raw_events'::regclass and c.relname ~ '^raw_events_\d{8}$'
            and to_date(right(c.relname, 8), 'YYYYMMDD') + 1 <= ((now - keep) at time zone 'utc')::date
    loop
        execute format('drop table %I', old.relname);
    end loop;
    delete from raw_events_default where received_at < now - keep;
end
$$;

-- As before: it does this as its owner, and finds names in the schema it lies in.
do $$
begin
    execute format(
        'alter function keep_raw_partitions(timestamptz, interval)'
        ' security definer set search_path = %I, pg_temp',
        current_schema()
    );
end
$$;
