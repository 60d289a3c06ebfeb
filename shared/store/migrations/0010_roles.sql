-- What a worker with few rights of its own (deploy/postgres/grants.sql) must be able to do all the
-- same: make and drop the partitions of raw_events. The function does it as its owner, and finds
-- names in the schema it lies in, wherever the caller would have it look.
do $$
begin
    execute format(
        'alter function keep_raw_partitions(timestamptz, interval)'
        ' security definer set search_path = %I, pg_temp',
        current_schema()
    );
end
$$;

revoke execute on function keep_raw_partitions(timestamptz, interval) from public;
