-- The original system's Pages, under the ids its callers know. Its tables are in the schema `old`.
-- Tokens are not copied: `pagewire page add` encrypts them. Run as pagewire_operator.
insert into facebook_pages (id, facebook_page_id, name, status)
select id, facebook_page_id, name, case when is_active then 'active' else 'paused' end
from old.facebook_pages
on conflict do nothing
returning facebook_page_id, name, status;
