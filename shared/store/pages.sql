-- name: known_page_ids
select facebook_page_id as id from facebook_pages where facebook_page_id = any($1::text[])
union
select instagram_id from facebook_pages where instagram_id = any($1::text[]);
