-- Raw rows as an ingest loads them: ten years, 500 people in 50 teams with 4
-- memberships each, 3 reviews per pull request, draft events for every fifth one. The
-- first parameter is the number of pull requests.
select setseed(0.5);

insert into raw.repositories (
    id, repository, is_configured, covered_to, _dlt_load_id, _dlt_id
)
select
    'R_' || number,
    'acme/service-' || number,
    true,
    '2026-01-01 00:00Z',
    '1',
    'r' || number
from generate_series(0, 199) as number;

insert into raw.user_logins (user_id, login, _dlt_load_id, _dlt_id)
select
    'U_' || person,
    'person-' || person,
    '1',
    'u' || person
from generate_series(0, 499) as person;

insert into raw.teams (team_id, name, _dlt_load_id, _dlt_id)
select
    'team-' || team,
    'Team ' || team,
    '1',
    't' || team
from generate_series(0, 49) as team;

-- First half in each of two teams, then another team, then four fifths in one.
insert into raw.team_memberships (
    team_id, github_username, allocation_weight, joined_at, left_at,
    _dlt_parent_id, _dlt_list_idx, _dlt_id
)
select
    'team-' || (person + windows.step) % 50,
    'Person-' || person,
    windows.weight,
    windows.joined_at::timestamptz,
    windows.left_at::timestamptz,
    't' || (person + windows.step) % 50,
    person * 4 + windows.step,
    'm' || person * 4 + windows.step
from generate_series(0, 499) as person
cross join (
    values
    (0, 0.5, '2016-01-01 00:00Z', '2021-01-01 00:00Z'),
    (1, 0.5, '2016-01-01 00:00Z', '2018-07-01 00:00Z'),
    (2, 1.0, '2021-01-01 00:00Z', '2023-07-01 00:00Z'),
    (3, 0.8, '2023-07-01 00:00Z', null)
) as windows (step, weight, joined_at, left_at);

insert into raw.pull_requests (
    id, repository_id, repository, number, title, url, state, is_draft, author_id,
    author_login, author_type, created_at, updated_at, closed_at, merged_at,
    merged_by_login, merge_commit_sha, base_ref, head_ref, first_commit_at, commits,
    additions, deletions, changed_files, labels, _dlt_load_id, _dlt_id
)
select
    'PR_kwDO' || lpad(to_hex(repository * 7919), 6, '0') || lpad(to_hex(number), 8, '0'),
    'R_' || repository,
    'acme/service-' || repository,
    number,
    'Change the way in which part ' || number || ' is done',
    'https://github.com/acme/service-' || repository || '/pull/' || number,
    case when fate < 0.9 then 'MERGED' when fate < 0.97 then 'CLOSED' else 'OPEN' end,
    false,
    'U_' || person,
    'person-' || person,
    'User',
    created_at,
    ended_at,
    case when fate < 0.97 then ended_at end,
    case when fate < 0.9 then ended_at end,
    case when fate < 0.9 then 'person-' || (person + 1) % 500 end,
    case when fate < 0.9 then md5(number::text) || '00000000' end,
    'main',
    'part-' || number,
    created_at - interval '1 second' * floor(random() * 200000),
    1 + floor(random() * 9),
    floor(random() * 500),
    floor(random() * 200),
    1 + floor(random() * 20),
    '["part"]',
    '1',
    'p' || number
from (
    select
        number,
        floor(random() * 200)::int as repository,
        floor(random() * 500)::int as person,
        random() as fate,
        created_at,
        created_at
        + interval '1 second' * (60 + floor(-ln(1 - random()) * 200000)) as ended_at
    from (
        select
            number,
            date_trunc(
                'second',
                '2016-01-01 00:00Z'::timestamptz
                + interval '3640 days' * (number::double precision / $1)
            ) as created_at
        from generate_series(1, $1::bigint) as number
        offset 0
    ) as numbered
    offset 0
) as drawn;

insert into raw.pull_request_reviews (
    id, pull_request_id, author_id, author_login, author_type, state, submitted_at,
    _dlt_root_id, _dlt_parent_id, _dlt_list_idx, _dlt_id
)
select
    'PRR_' || substr(id, 4) || place,
    id,
    'U_' || reviewer,
    'person-' || reviewer,
    case when reviewer < 20 then 'Bot' else 'User' end,
    case when place = 3 then 'APPROVED' else 'COMMENTED' end,
    created_at + (updated_at - created_at) * least(1, random() * place * 0.4),
    _dlt_id,
    _dlt_id,
    place,
    'v' || number || '.' || place
from (
    select
        pull_requests.*,
        place,
        floor(random() * 500)::int as reviewer
    from raw.pull_requests as pull_requests
    cross join generate_series(1, 3) as place
    offset 0
) as drawn;

insert into raw.pull_request_draft_events (
    id, pull_request_id, event, created_at, position,
    _dlt_root_id, _dlt_parent_id, _dlt_list_idx, _dlt_id
)
select
    'E_' || substr(id, 4),
    id,
    'ready_for_review',
    created_at + (updated_at - created_at) * random() * 0.5,
    0,
    _dlt_id,
    _dlt_id,
    0,
    'e' || number
from raw.pull_requests
where number % 5 = 0;

analyze;
