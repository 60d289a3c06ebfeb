-- Lets a statement undo itself, where what it was written for no longer holds.
create function undo_unless(holds boolean) returns boolean language plpgsql as $$
begin
    if not holds then
        raise serialization_failure using message = 'somebody else was quicker';
    end if;
    return true;
end
$$;
