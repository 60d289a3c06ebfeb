-- Whoever serves readers asks whether a Page has a token, and needs no right to the token itself.
alter table facebook_pages
    add column has_token boolean not null generated always as (access_token is not null) stored;
