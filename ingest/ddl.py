"""SQL for `raw` besides the tables that dlt creates: change numbers, indexes, identities."""

# A row of raw.pull_requests gets a new number whenever it is loaded: dlt deletes and inserts it
# without naming this column, so that Postgres uses the default. Reviews and draft events are loaded
# with their pull request and need no number. Only one ingest runs at a time, so the numbers are in
# commit order. The check comes first because `alter table` would wait for readers of the table, and
# new readers would then wait for it.
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
# For dbt's joins; pull_requests_author has the expression of the macro person_id.
INDEXES_OF_DBT = r"""
create unique index if not exists pull_requests_id on raw.pull_requests (id);
create index if not exists pull_requests_change on raw.pull_requests (change_number);
create index if not exists pull_requests_author on raw.pull_requests (
    coalesce(author_id, 'login ' || regexp_replace(lower(author_login collate "C"), '\[bot\]$', ''))
);
drop index if exists raw.pull_requests_person;
create index if not exists pull_requests_repository on raw.pull_requests (repository_id, created_at)
    where vanished_at is null;
create index if not exists reviews_pull_request on raw.pull_request_reviews (pull_request_id);
create index if not exists draft_events_pull_request
    on raw.pull_request_draft_events (pull_request_id);
create index if not exists deployment_statuses_deployment
    on raw.deployment_statuses (deployment_id);
"""
# For dlt's merges; dlt creates no indexes here.
INDEXES_OF_DLT = """
create unique index if not exists pull_requests_dlt_id on raw.pull_requests (_dlt_id);
create index if not exists reviews_root on raw.pull_request_reviews (_dlt_root_id);
create index if not exists draft_events_root on raw.pull_request_draft_events (_dlt_root_id);
create unique index if not exists user_logins_id on raw.user_logins (user_id, login);
create unique index if not exists repositories_id on raw.repositories (id);
create unique index if not exists deployments_id on raw.deployments (id);
create unique index if not exists deployments_dlt_id on raw.deployments (_dlt_id);
create index if not exists deployment_statuses_root on raw.deployment_statuses (_dlt_root_id);
create unique index if not exists releases_id on raw.releases (id);
create unique index if not exists tags_id on raw.tags (id);
create unique index if not exists workflow_runs_id on raw.workflow_runs (id);
create unique index if not exists pull_request_files_id
    on raw.pull_request_files (pull_request_id);
create unique index if not exists commits_sha on raw.commits (repository_id, sha);
"""
# dlt creates no primary keys. If a publication includes all tables (`create publication … for all
# tables`), Postgres refuses updates and deletes in a table without a replica identity. The check
# comes first, as above; a replica identity that somebody has set stays.
IDENTITIES = """
do $$
declare
    made regclass;
begin
    for made in
        select oid
        from pg_class
        where
            relnamespace in (to_regnamespace('raw'), to_regnamespace('raw_staging'))
            and relkind = 'r'
            and relreplident = 'd'
    loop
        execute format('alter table %s replica identity full', made);
    end loop;
end $$;
"""
