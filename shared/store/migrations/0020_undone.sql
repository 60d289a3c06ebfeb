-- Lets a statement undo itself, where what it was written for no longer holds. The code is our own, so
-- that nobody takes another's failure for this one.
create function undo_unless(holds boolean) returns boolean language plpgsql as $$
begin
    if not holds then
        raise 'somebody else was quicker' using errcode = 'PW001';
    end if;
    return true;
end
$$;
