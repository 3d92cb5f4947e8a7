-- The models, written by hand for one session: the same tables with the same rows,
-- constraints and indexes in the schema `hand`, for UTC and `merged_at`. A line
-- `-- section: NAME` begins a section. benchmarks/transform.py fills in {…} for a
-- full build or for a build of the changed rows.
-- section: tables
set work_mem = '64MB';

create table hand.windows as
{windows};

create table hand.state as
select max(change_number) as last_change from raw.pull_requests;

create table hand.fct_pull_requests (
    pull_request_id text not null,
    repository text not null,
    number bigint not null,
    title text not null,
    url text not null,
    author text,
    author_id text not null,
    state text not null check (state in ('open', 'closed', 'merged')),
    is_draft boolean not null,
    labels jsonb,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    closed_at timestamptz,
    merged_at timestamptz,
    attributed_at timestamptz not null,
    first_commit_at timestamptz,
    work_started_at timestamptz not null,
    first_review_at timestamptz,
    cycle_time_hours double precision check (cycle_time_hours >= 0),
    coding_hours double precision,
    draft_hours double precision,
    pickup_hours double precision,
    review_hours double precision,
    total_hours double precision,
    additions bigint,
    deletions bigint,
    size bigint,
    changed_files bigint,
    commits bigint,
    base_ref text,
    head_ref text,
    merged_by text,
    is_bot boolean not null,
    excluded_by text
);

create table hand.fct_team_pull_requests (
    team_id text not null,
    pull_request_id text not null,
    weight numeric(3, 2) not null check (weight between 0 and 1),
    attributed_at timestamptz not null,
    merged_at timestamptz,
    week date,
    month date
);

create table hand.fct_team_velocity_weekly (
    team_id text not null,
    week date not null,
    prs_merged bigint not null,
    weighted_prs_merged numeric(12, 2) not null,
    avg_cycle_time_hours double precision,
    weighted_avg_cycle_time_hours double precision,
    contributors bigint not null,
    is_complete boolean not null
);

create table hand.fct_team_lead_time_monthly (
    team_id text not null,
    month date not null,
    prs_merged bigint not null,
    median_lead_time_hours double precision,
    p95_lead_time_hours double precision,
    weighted_median_lead_time_hours double precision,
    weighted_p95_lead_time_hours double precision,
    median_coding_hours double precision,
    median_draft_hours double precision,
    median_pickup_hours double precision,
    median_review_hours double precision,
    is_complete boolean not null
);


-- section: facts
insert into hand.fct_pull_requests
with

pull_requests as materialized (
    select
        id,
        author_id,
        author_login,
        created_at,
        merged_at,
        is_draft,
        least(first_commit_at, created_at) as work_started_at,
        case
            when state = 'OPEN' then 'infinity'
            else coalesce(merged_at, closed_at, 'infinity')
        end as ended_at
    from {pull_requests}
),

reviewed as (
    select
        pull_requests.id,
        min(reviews.submitted_at) as first_review_at
    from pull_requests
    inner join raw.pull_request_reviews as reviews
        on
            pull_requests.id = reviews.pull_request_id
            and reviews.submitted_at between pull_requests.created_at and pull_requests.ended_at
    where
        reviews.state <> 'PENDING'
        and reviews.author_type is distinct from 'Bot'
        and not coalesce(
            reviews.author_id = pull_requests.author_id,
            {login_key_of_review} = {login_key_of_pull_request},
            false
        )
    group by pull_requests.id
),

switches as (
    select
        events.pull_request_id,
        events.event = 'convert_to_draft' as is_to_draft,
        events.created_at as switched_at,
        row_number() over in_order as switch_number,
        lead(events.created_at) over in_order as next_switched_at
    from pull_requests
    inner join raw.pull_request_draft_events as events
        on pull_requests.id = events.pull_request_id
    window in_order as (
        partition by events.pull_request_id order by events.created_at, events.position
    )
),

spans as (
    select
        pull_request_id,
        switched_at as started_at,
        coalesce(next_switched_at, 'infinity') as ended_at
    from switches
    where is_to_draft
    union all
    select
        pull_request_id,
        '-infinity' as started_at,
        switched_at as ended_at
    from switches
    where switch_number = 1 and not is_to_draft
    union all
    select
        id as pull_request_id,
        '-infinity' as started_at,
        'infinity' as ended_at
    from pull_requests
    where is_draft and not exists (
        select from raw.pull_request_draft_events as events
        where events.pull_request_id = pull_requests.id
    )
),

drafted as (
    select
        spans.pull_request_id,
        sum(least(spans.ended_at, merged_at) - greatest(spans.started_at, created_at)) as drafted,
        sum(
            greatest(
                least(spans.ended_at, merged_at, coalesce(first_review_at, merged_at))
                - greatest(spans.started_at, created_at), interval '0'
            )
        ) as before_pickup
    from spans
    inner join pull_requests on spans.pull_request_id = pull_requests.id
    left join reviewed on pull_requests.id = reviewed.id
    where spans.started_at < merged_at and spans.ended_at > created_at
    group by spans.pull_request_id
)

select
    pull_requests.id,
    repositories.repository,
    number,
    title,
    url,
    author_login,
    author_id,
    lower(state),
    is_draft,
    labels,
    created_at,
    updated_at,
    closed_at,
    merged_at,
    coalesce(merged_at, closed_at, created_at),
    first_commit_at,
    least(first_commit_at, created_at),
    first_review_at,
    extract(epoch from merged_at - created_at)::double precision / 3600,
    case when merged_at is not null then
        extract(
            epoch from created_at - least(first_commit_at, created_at)
        )::double precision / 3600
    end,
    case when merged_at is not null then
        extract(epoch from coalesce(drafted, interval '0'))::double precision / 3600
    end,
    extract(
        epoch from least(first_review_at, merged_at) - created_at
        - coalesce(before_pickup, interval '0')
    )::double precision / 3600 * case when merged_at is not null then 1 end,
    extract(
        epoch from merged_at - coalesce(first_review_at, merged_at)
        - coalesce(drafted - before_pickup, interval '0')
    )::double precision / 3600,
    extract(
        epoch from merged_at - least(first_commit_at, created_at)
    )::double precision / 3600,
    additions,
    deletions,
    additions + deletions,
    changed_files,
    commits,
    base_ref,
    head_ref,
    merged_by_login,
    coalesce(author_type = 'Bot', false),
    null
from {pull_requests} as pull_requests
inner join raw.repositories as repositories on pull_requests.repository_id = repositories.id
left join reviewed on pull_requests.id = reviewed.id
left join drafted on pull_requests.id = drafted.pull_request_id
where pull_requests.author_id in (select person_id from hand.windows);

-- section: attributions
insert into hand.fct_team_pull_requests
with

held as materialized (
    select
        facts.pull_request_id,
        windows.team_id,
        max(windows.allocation_weight) as weight,
        facts.attributed_at,
        facts.merged_at
    from {facts} as facts
    left join hand.windows
        on
            facts.author_id = windows.person_id
            and facts.attributed_at >= windows.joined_at
            and facts.attributed_at < windows.left_at
    group by facts.pull_request_id, windows.team_id, facts.attributed_at, facts.merged_at
),

shares as (
    select * from held
    where team_id is not null
    union all
    select
        pull_request_id,
        'unassigned' as team_id,
        1 - coalesce(sum(weight), 0) as weight,
        attributed_at,
        merged_at
    from held
    group by pull_request_id, attributed_at, merged_at
    having coalesce(sum(weight), 0) < 1
)

select
    team_id,
    pull_request_id,
    weight,
    attributed_at,
    merged_at,
    date_trunc('week', merged_at at time zone 'UTC')::date,
    date_trunc('month', merged_at at time zone 'UTC')::date
from shares;

-- section: indexes of facts
alter table hand.fct_pull_requests add primary key (pull_request_id);
create index on hand.fct_pull_requests (author);
create index on hand.fct_pull_requests (merged_at);
analyze hand.fct_pull_requests;

-- section: indexes of attributions
alter table hand.fct_team_pull_requests add primary key (pull_request_id, team_id);
create index on hand.fct_team_pull_requests (team_id, merged_at);
create index on hand.fct_team_pull_requests (team_id, month, week);
analyze hand.fct_team_pull_requests;

-- section: periods
drop table if exists hand.periods;
create table hand.periods as
with

bounds as (
    select
        tenures.team_id,
        as_of,
        history_from,
        greatest(joined_at, data_from) at time zone 'UTC' as first_at,
        greatest(
            least(as_of, left_at - interval '1 microsecond'), merged_at
        ) at time zone 'UTC' as last_at
    from (
        select
            team_id,
            min(joined_at) as joined_at,
            max(left_at) as left_at
        from hand.windows
        group by team_id
    ) as tenures
    inner join hand.dim_build on joined_at <= as_of
    cross join lateral (
        select max(merged_at) as merged_at
        from hand.fct_team_pull_requests as shares
        where shares.team_id = tenures.team_id
    ) as last_merge
)

select
    team_id,
    unit,
    start_at::date as period,
    start_at + ('1 ' || unit)::interval <= as_of at time zone 'UTC'
    and (history_from is null or start_at at time zone 'UTC' >= history_from) as is_complete
from bounds
cross join (values ('week'), ('month')) as units (unit)
cross join lateral generate_series(
    date_trunc(unit, first_at), date_trunc(unit, last_at), ('1 ' || unit)::interval
) as start_at;
analyze hand.periods;

-- section: rollups
insert into hand.fct_team_velocity_weekly
with

summed as (
    select
        shares.team_id,
        shares.week,
        count(*) as prs_merged,
        sum(weight) as weighted_prs_merged,
        avg(cycle_time_hours order by cycle_time_hours) as avg_cycle_time_hours,
        sum(weight * cycle_time_hours order by cycle_time_hours, weight)
        / nullif(sum(weight), 0) as weighted_avg_cycle_time_hours,
        count(distinct author_id) as contributors
    from {shares_by_week} as shares
    inner join hand.fct_pull_requests as facts using (pull_request_id)
    where shares.merged_at is not null and team_id <> 'unassigned'
    group by shares.team_id, shares.week
)

select
    periods.team_id,
    periods.period,
    coalesce(prs_merged, 0),
    coalesce(weighted_prs_merged, 0),
    avg_cycle_time_hours,
    weighted_avg_cycle_time_hours,
    coalesce(contributors, 0),
    is_complete
from {periods} as periods
left join summed on periods.team_id = summed.team_id and periods.period = summed.week
where unit = 'week';

insert into hand.fct_team_lead_time_monthly
with

merged as (
    select
        team_id,
        month,
        weight,
        cycle_time_hours,
        coding_hours,
        draft_hours,
        pickup_hours,
        review_hours,
        sum(weight) over (
            partition by team_id, month order by cycle_time_hours
        ) as cumulative_weight,
        sum(weight) over (partition by team_id, month) as total_weight
    from {shares_by_month} as shares
    inner join hand.fct_pull_requests as facts using (pull_request_id)
    where shares.merged_at is not null and team_id <> 'unassigned'
),

summed as (
    select
        team_id,
        month,
        count(*) as prs_merged,
        percentile_cont(array[0.5, 0.95]) within group (order by cycle_time_hours) as lead_times,
        min(cycle_time_hours) filter (
            where weight > 0 and cumulative_weight >= 0.5 * total_weight
        ) as weighted_median_lead_time_hours,
        min(cycle_time_hours) filter (
            where weight > 0 and cumulative_weight >= 0.95 * total_weight
        ) as weighted_p95_lead_time_hours,
        percentile_cont(0.5) within group (order by coding_hours) as median_coding_hours,
        percentile_cont(0.5) within group (order by draft_hours) as median_draft_hours,
        percentile_cont(0.5) within group (order by pickup_hours) as median_pickup_hours,
        percentile_cont(0.5) within group (order by review_hours) as median_review_hours
    from merged
    group by team_id, month
)

select
    periods.team_id,
    periods.period,
    coalesce(prs_merged, 0),
    lead_times[1],
    lead_times[2],
    weighted_median_lead_time_hours,
    weighted_p95_lead_time_hours,
    median_coding_hours,
    median_draft_hours,
    median_pickup_hours,
    median_review_hours,
    is_complete
from {periods} as periods
left join summed on periods.team_id = summed.team_id and periods.period = summed.month
where unit = 'month';

-- section: indexes of rollups
alter table hand.fct_team_velocity_weekly add primary key (team_id, week);
alter table hand.fct_team_lead_time_monthly add primary key (team_id, month);

-- section: changed rows
set work_mem = '64MB';
drop table if exists touched, new_windows, touched_periods;
create temp table new_windows (like hand.windows);
insert into new_windows
{windows};

create temp table touched as
select id as pull_request_id
from raw.pull_requests
where change_number > (select last_change from hand.state)
and change_number <= (select max(change_number) from raw.pull_requests)
union
select id
from raw.pull_requests
where {person_id} in (
    select person_id
    from (
        (table new_windows except table hand.windows)
        union all
        (table hand.windows except table new_windows)
    ) as differing
);
analyze touched;

update hand.state
set last_change = (select max(change_number) from raw.pull_requests);
truncate hand.windows;
insert into hand.windows table new_windows;

-- section: delete changed rows
create temp table touched_periods as
select
    team_id,
    week,
    month
from hand.fct_team_pull_requests
inner join touched using (pull_request_id);
delete from hand.fct_pull_requests
where pull_request_id in (select pull_request_id from touched);
delete from hand.fct_team_pull_requests
where pull_request_id in (select pull_request_id from touched);

-- section: delete changed periods
insert into touched_periods
select
    team_id,
    week,
    month
from hand.fct_team_pull_requests
inner join touched using (pull_request_id);
delete from hand.fct_team_velocity_weekly as rollup
where (team_id, week) in (select team_id, week from touched_periods)
or (team_id, week, is_complete)
not in (select team_id, period, is_complete from hand.periods where unit = 'week');
delete from hand.fct_team_lead_time_monthly as rollup
where (team_id, month) in (select team_id, month from touched_periods)
or (team_id, month, is_complete)
not in (select team_id, period, is_complete from hand.periods where unit = 'month');
drop table if exists due_periods;
create temp table due_periods as
select * from hand.periods as periods
where not exists (
    select from hand.fct_team_velocity_weekly as rollup
    where unit = 'week' and rollup.team_id = periods.team_id and rollup.week = periods.period
) and not exists (
    select from hand.fct_team_lead_time_monthly as rollup
    where unit = 'month' and rollup.team_id = periods.team_id and rollup.month = periods.period
);
analyze due_periods;

-- section: dimensions
drop table if exists hand.dim_teams, hand.dim_team_memberships, hand.dim_build;
create table hand.dim_teams (
    team_id text not null primary key,
    team_name text not null,
    description text
);
insert into hand.dim_teams
select
    team_id,
    name,
    description
from raw.teams;

create table hand.dim_team_memberships (
    team_id text not null,
    github_username text not null,
    allocation_weight numeric(3, 2) not null check (allocation_weight between 0 and 1),
    joined_at timestamptz not null,
    left_at timestamptz,
    also text,
    primary key (team_id, github_username, joined_at)
);
insert into hand.dim_team_memberships
select
    team_id,
    github_username,
    allocation_weight,
    joined_at,
    left_at,
    also
from raw.team_memberships;

create table hand.dim_build as
select
    min(repositories.covered_to) as as_of,
    max(repositories.covered_from) as history_from,
    min(coalesce(repositories.covered_from, oldest.created_at)) as data_from
from raw.repositories as repositories
left join lateral (
    select min(created_at) as created_at
    from raw.pull_requests
    where repository_id = repositories.id and vanished_at is null
) as oldest on true
where is_configured and unreachable_since is null and covered_to is not null;

-- section: windows
select
    teams.team_id,
    logins.person_id,
    memberships.allocation_weight,
    memberships.joined_at,
    coalesce(memberships.left_at, 'infinity') as left_at
from raw.team_memberships as memberships
inner join raw.teams as teams on memberships.team_id = teams.team_id
inner join lateral (
    select user_id as person_id
    from raw.user_logins
    where
        regexp_replace(lower(login), '\[bot\]$', '')
        = regexp_replace(lower(memberships.github_username), '\[bot\]$', '')
    union
    select 'login ' || regexp_replace(lower(memberships.github_username), '\[bot\]$', '')
) as logins on true
