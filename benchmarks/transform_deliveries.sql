-- In addition to transform_raw.sql, the deliveries that an ingest would have loaded: a
-- linear trunk of merge commits for each repository, a deployment of every fifth
-- commit, of which every fiftieth is a rollback to the previous one, and an incident
-- after every hundredth.
create temporary table trunk as
select
    id,
    repository_id,
    repository,
    merge_commit_sha,
    merged_at,
    row_number() over merges - 1 as landed,
    lag(merge_commit_sha) over merges as parent
from raw.pull_requests
where merged_at is not null
window merges as (partition by repository_id order by merged_at, number);

create temporary table deployed as
select
    repository_id,
    repository,
    merge_commit_sha as sha,
    merged_at + interval '2 hours' as deployed_at,
    row_number() over releases as number,
    lag(merge_commit_sha) over releases as sha_before
from trunk
where landed % 5 = 0
window releases as (partition by repository_id order by landed);

insert into raw.commits (
    repository_id, sha, parents, committed_at, landed, fork, _dlt_load_id, _dlt_id
)
select
    repository_id,
    merge_commit_sha,
    coalesce(parent, ''),
    merged_at,
    landed,
    landed,
    '1',
    'c' || id
from trunk;

insert into raw.deployments (
    id,
    repository_id,
    environment,
    task,
    commit_sha,
    created_at,
    updated_at,
    _dlt_load_id,
    _dlt_id
)
select
    repository_id || ' ' || number,
    repository_id,
    'production',
    'deploy',
    case when number % 50 = 0 then coalesce(sha_before, sha) else sha end,
    deployed_at - interval '10 minutes',
    deployed_at,
    '1',
    'd' || repository_id || ' ' || number
from deployed;

insert into raw.deployment_statuses (
    id,
    deployment_id,
    state,
    created_at,
    position,
    _dlt_root_id,
    _dlt_parent_id,
    _dlt_list_idx,
    _dlt_id
)
select
    repository_id || ' ' || number || ' s',
    repository_id || ' ' || number,
    'SUCCESS',
    deployed_at,
    0,
    'd' || repository_id || ' ' || number,
    'd' || repository_id || ' ' || number,
    0,
    's' || repository_id || ' ' || number
from deployed;

insert into raw.incidents (
    source, id, title, repository, started_at, resolved_at, _dlt_load_id, _dlt_id
)
select
    'file',
    repository_id || ' ' || number,
    'Down',
    repository,
    deployed_at + interval '1 hour',
    deployed_at + interval '3 hours',
    '1',
    'i' || repository_id || ' ' || number
from deployed
where number % 100 = 0;

insert into raw.delivery_coverage (
    repository_id, kind, covered_to, _dlt_load_id, _dlt_id
)
select
    repository_id,
    kind,
    '2026-01-01 00:00Z',
    '1',
    repository_id || ' ' || kind
from (select distinct repository_id from trunk) as repositories
cross join (values ('commits'), ('deployments')) as kinds (kind);

analyze raw.commits, raw.deployments, raw.deployment_statuses, raw.incidents;
