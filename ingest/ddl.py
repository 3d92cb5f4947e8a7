"""What `raw` has beyond the tables that dlt makes: indexes, and numbers that say what changed."""

# A row of raw.pull_requests gets a new number whenever it lands: dlt deletes and inserts it, naming
# its own columns, so that the default is taken. Reviews and draft events land with their pull
# request and need none. There is one ingest at a time, so the numbers are in the order of commits.
# Asked first: `alter table` would wait for whoever reads the table, and everybody then for it.
CHANGES = """
do $$
begin
    if not exists (
        select from pg_attribute
        where attrelid = 'raw.pull_requests'::regclass and attname = 'change_number'
    ) then
        create sequence raw.changes;
        alter table raw.pull_requests
            add column change_number bigint not null default nextval('raw.changes');
        alter sequence raw.changes owned by raw.pull_requests.change_number;
    end if;
end $$;
"""
# What dbt's joins look up; that of people is of the macro person_id.
INDEXES_OF_DBT = r"""
create unique index if not exists pull_requests_id on raw.pull_requests (id);
create index if not exists pull_requests_change on raw.pull_requests (change_number);
create index if not exists pull_requests_person on raw.pull_requests (
    coalesce(author_id, 'login ' || regexp_replace(lower(author_login), '\[bot\]$', ''))
);
create index if not exists pull_requests_repository on raw.pull_requests (repository_id, created_at)
    where vanished_at is null;
create index if not exists reviews_pull_request on raw.pull_request_reviews (pull_request_id);
create index if not exists draft_events_pull_request
    on raw.pull_request_draft_events (pull_request_id);
"""
# What dlt's merges look up; dlt makes no index of its own.
INDEXES_OF_DLT = """
create unique index if not exists pull_requests_dlt_id on raw.pull_requests (_dlt_id);
create index if not exists reviews_root on raw.pull_request_reviews (_dlt_root_id);
create index if not exists draft_events_root on raw.pull_request_draft_events (_dlt_root_id);
create unique index if not exists user_logins_id on raw.user_logins (user_id, login);
create unique index if not exists repositories_id on raw.repositories (id);
"""
