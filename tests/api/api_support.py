"""Hand-made marts with the worked example of docs/metrics.md, and a client of the API."""

import asyncio
import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI
from psycopg import Connection
from pydantic import SecretStr

from dora.api_keys import new_key
from dora.settings import Settings

TABLES = """
create table marts.dim_build (
    build_id text, built_at timestamptz, as_of timestamptz, data_from timestamptz,
    history_from timestamptz, reporting_timezone text, attribution_instant text
);
create table marts.dim_teams (team_id text, team_name text, description text);
create table marts.dim_team_memberships (
    team_id text, github_username text, allocation_weight numeric(3, 2),
    joined_at timestamptz, left_at timestamptz
);
create table marts.fct_pull_requests (
    pull_request_id text, repository text, number bigint, title text, url text, author text,
    state text, created_at timestamptz, merged_at timestamptz, closed_at timestamptz,
    first_commit_at timestamptz, work_started_at timestamptz, first_review_at timestamptz,
    cycle_time_hours double precision, coding_hours double precision,
    draft_hours double precision, pickup_hours double precision,
    review_hours double precision, total_hours double precision,
    additions bigint, deletions bigint, size bigint, author_id text, labels jsonb, base_ref text
);
create table marts.fct_pull_request_reviews (
    review_id text, pull_request_id text, reviewer_id text, reviewer text, state text,
    submitted_at timestamptz, is_first boolean, hours_to_review double precision
);
create table marts.fct_open_pull_requests (
    pull_request_id text, status text, status_since timestamptz, age_hours double precision,
    waiting_hours double precision, reviews bigint, reviewers bigint
);
create table marts.fct_team_pull_requests (
    team_id text, pull_request_id text, weight numeric(3, 2), attributed_at timestamptz,
    merged_at timestamptz, week date, month date
);
create table marts.fct_team_velocity_weekly (
    team_id text, week date, prs_merged bigint, weighted_prs_merged numeric(12, 2),
    avg_cycle_time_hours double precision, weighted_avg_cycle_time_hours double precision,
    contributors bigint, is_complete boolean
);
create table marts.fct_team_lead_time_monthly (
    team_id text, month date, prs_merged bigint, median_lead_time_hours double precision,
    p95_lead_time_hours double precision, weighted_median_lead_time_hours double precision,
    weighted_p95_lead_time_hours double precision, median_coding_hours double precision,
    median_draft_hours double precision, median_pickup_hours double precision,
    median_review_hours double precision, is_complete boolean
);
create table marts.fct_team_delivery_weekly (
    team_id text, week date, deployments bigint, weighted_deployments double precision,
    deployment_days bigint, rollbacks bigint, changes_deployed bigint,
    weighted_changes_deployed numeric(12, 2), median_change_lead_time_hours double precision,
    p95_change_lead_time_hours double precision,
    weighted_median_change_lead_time_hours double precision,
    weighted_p95_change_lead_time_hours double precision, median_deploy_hours double precision,
    avg_coding_hours double precision, avg_draft_hours double precision,
    avg_pickup_hours double precision, avg_review_hours double precision,
    avg_deploy_hours double precision,
    failed_deployments bigint, failed_by_incident bigint, failed_by_rollback bigint,
    failed_by_revert bigint, failed_by_hotfix bigint, failed_by_status bigint,
    change_fail_rate double precision,
    weighted_change_fail_rate double precision, rework_deployments bigint,
    deployment_rework_rate double precision, weighted_deployment_rework_rate double precision,
    failures_recovered bigint, median_recovery_hours double precision,
    weighted_median_recovery_hours double precision, failures_open bigint, is_complete boolean,
    is_settled boolean
);
create table marts.fct_team_delivery_monthly (
    team_id text, month date, deployments bigint, weighted_deployments double precision,
    deployment_days bigint, rollbacks bigint, changes_deployed bigint,
    weighted_changes_deployed numeric(12, 2), median_change_lead_time_hours double precision,
    p95_change_lead_time_hours double precision,
    weighted_median_change_lead_time_hours double precision,
    weighted_p95_change_lead_time_hours double precision, median_deploy_hours double precision,
    avg_coding_hours double precision, avg_draft_hours double precision,
    avg_pickup_hours double precision, avg_review_hours double precision,
    avg_deploy_hours double precision,
    failed_deployments bigint, failed_by_incident bigint, failed_by_rollback bigint,
    failed_by_revert bigint, failed_by_hotfix bigint, failed_by_status bigint,
    change_fail_rate double precision,
    weighted_change_fail_rate double precision, rework_deployments bigint,
    deployment_rework_rate double precision, weighted_deployment_rework_rate double precision,
    failures_recovered bigint, median_recovery_hours double precision,
    weighted_median_recovery_hours double precision, failures_open bigint, is_complete boolean,
    is_settled boolean
);
create table marts.fct_team_trends (
    team_id text, metric text, compared_with text, verdict text, current_value double precision,
    earlier_value double precision, sample_size bigint, earlier_sample_size bigint,
    first_week date, earlier_first_week date, probability_higher double precision, phase text,
    phase_hours double precision, earlier_phase_hours double precision
);
create table marts.fct_deployments (
    deployment_id text, target text, repository text, source text, is_proxy boolean,
    is_approximate boolean, environment text, url text, commit_sha text, requested_at timestamptz,
    deployed_at timestamptz, kind text, changes_added bigint, changes_withdrawn bigint,
    is_failed boolean, failure_causes text[], recovered_at timestamptz,
    recovery_hours double precision, is_rework boolean
);
create table marts.fct_deployment_pull_requests (
    deployment_id text, pull_request_id text, is_added boolean
);
create table marts.fct_team_deployments (
    team_id text, deployment_id text, share double precision
);
create table marts.fct_incidents (
    incident_id text, source text, title text, url text, severity text, repository text,
    target text, started_at timestamptz, resolved_at timestamptz, ended_at timestamptz,
    fixed_by_pull_request_id text, deployment_id text, link text, not_linked_reason text
);
"""
TABLES += """
create table marts.dim_groups (group_id text, group_name text, parent_group_id text);
create table marts.dim_group_teams (group_id text, team_id text, is_current boolean);
"""
for _mart in (
    *("velocity_weekly", "lead_time_monthly", "delivery_weekly", "delivery_monthly"),
    *("deployments", "pull_requests"),
):
    TABLES += f"create table marts.fct_group_{_mart} (like marts.fct_team_{_mart});"
    TABLES += f"alter table marts.fct_group_{_mart} rename column team_id to group_id;"

# The worked example of docs/metrics.md: Ada in core and web, Bob in web, loaded up to 2026-01-20.
ROWS = """
insert into marts.dim_build values
('b1', '2026-01-20T00:05Z', '2026-01-20T00:00Z', '2026-01-05T00:00Z', null, 'UTC', 'merged_at');
insert into marts.dim_teams values ('core', 'Core', 'Shared services'), ('web', 'Web', null);
insert into marts.dim_team_memberships values
('core', 'ada', 0.5, '2026-01-01T00:00Z', '2026-01-12T00:00Z'),
('core', 'ada', 1.0, '2026-01-12T00:00Z', null),
('web', 'ada', 0.5, '2026-01-01T00:00Z', '2026-01-12T00:00Z'),
('web', 'bob', 1.0, '2026-01-01T00:00Z', null);
insert into marts.fct_team_velocity_weekly values
('core', '2026-01-12', 1, 1.0, 24, 24, 1, true),
('core', '2026-01-05', 1, 0.5, 24, 24, 1, true),
('core', '2026-01-19', 0, 0, null, null, 0, false),
('web', '2026-01-05', 2, 1.5, 17, 14.666666666666666, 2, true);
insert into marts.fct_team_lead_time_monthly values
('web', '2026-01-01', 2, 17, 23.3, 10, 24, 0, 0, 12.5, 4.5, false);
insert into marts.fct_team_delivery_weekly values
('web', '2026-01-05', 2, 0.75, 1, 1, 1, 0.5, 5, 5, 5, 5, 3, 1, 0, 0, 1, 3, 1, 1, 0, 0, 0, 0,
 0.5, 0.6666666666666666, 1, 0.3333333333333333, 0.25, 1, 1.25, 1.25, 0, true, false),
('core', '2026-01-12', 0, 0, 0, 0, 0, 0, null, null, null, null, null, null, null, null, null, null,
 0, 0, 0, 0, 0, 0, null, null, 0, null, null, 0, null, null, 0, true, false),
('core', '2026-01-05', null, null, null, null, null, null, null, null, null, null, null, null, null,
 null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
 null, null, true, false);
insert into marts.fct_team_delivery_monthly values
('web', '2026-01-01', 2, 0.75, 1, 1, 1, 0.5, 5, 5, 5, 5, 3, 1, 0, 0, 1, 3, 1, 1, 0, 0, 0, 0,
 0.5, 0.6666666666666666, 1, 0.3333333333333333, 0.25, 1, 1.25, 1.25, 0, false, false);
insert into marts.fct_team_trends values
('web', 'lead_time_hours', 'year_before', 'worse', 50, 22.7, 60, 58, '2025-10-20', '2024-10-21',
 0.75, 'pickup', 27.1, 5),
('core', 'merged_per_week', 'quarter_before', 'better', 6.5, 4.25, 13, 13, '2025-10-20',
 '2025-07-21', 0.8, null, null, null),
('web', 'change_fail_rate', 'quarter_before', 'too_little_data', null, null, 0, 0, '2025-10-20',
 '2025-07-21', null, null, null, null),
('core', 'lead_time_hours', 'quarter_before', 'as_usual', 24, 23.5, 40, 44, '2025-10-20',
 '2025-07-21', 0.5, null, null, null);
insert into marts.fct_deployments values
('D_0', 'acme/app', 'acme/app', 'deployments', false, false, 'production', null, 'c0',
 '2026-01-01T00:00Z', '2026-01-01T00:10Z', 'first', 0, 0, false, '{}', null, null, false),
('D_1', 'acme/app', 'acme/app', 'deployments', false, false, 'production',
 'https://ci.acme.example/1', 'c2', '2026-01-06T09:30Z', '2026-01-06T10:00Z', 'deploy', 2, 0, true,
 '{incident,rollback}', '2026-01-06T11:15Z', 1.25, false),
('D_2', 'acme/app', 'acme/app', 'deployments', false, false, 'production', null, 'c0',
 '2026-01-06T11:00Z', '2026-01-06T11:15Z', 'rollback', 0, 2, false, '{}', null, null, true),
('D_3', 'acme/app', 'acme/app', 'merges', true, true, null, null, 'c3',
 '2026-01-12T00:00Z', '2026-01-12T00:00Z', 'deploy', 1, 0, false, '{}', null, null, false);
insert into marts.fct_deployment_pull_requests values
('D_1', 'PR_1', true), ('D_1', 'PR_2', true), ('D_2', 'PR_1', false), ('D_2', 'PR_2', false),
('D_3', 'PR_3', true);
insert into marts.fct_team_deployments values
('core', 'D_1', 0.25), ('web', 'D_1', 0.75), ('core', 'D_2', 0.25), ('web', 'D_2', 0.75),
('core', 'D_3', 1);
insert into marts.fct_incidents values
('github I_1', 'github', 'Down', 'https://github.com/acme/app/issues/9', 'sev1', 'acme/app', null,
 '2026-01-06T10:30Z', '2026-01-06T11:20Z', '2026-01-06T11:20Z', null, 'D_1', 'inferred', null),
('file 1', 'file', 'Elsewhere', null, null, null, null,
 '2026-01-06T10:30Z', null, null, null, null, null, 'no_target');
insert into marts.fct_team_pull_requests values
('core', 'PR_1', 0.5, '2026-01-06T09:00Z', '2026-01-06T09:00Z'),
('web', 'PR_1', 0.5, '2026-01-06T09:00Z', '2026-01-06T09:00Z'),
('web', 'PR_2', 1.0, '2026-01-05T19:00Z', '2026-01-05T19:00Z'),
('core', 'PR_3', 1.0, '2026-01-12T00:00Z', '2026-01-12T00:00Z'),
('web', 'PR_7', 1.0, '2026-01-07T00:00Z', null),
('web', 'PR_8', 1.0, '2026-01-19T00:00Z', null),
('web', 'PR_9', 1.0, '2026-01-18T00:00Z', null),
('unassigned', 'PR_10', 1.0, '2026-01-17T00:00Z', null);
insert into marts.fct_pull_request_reviews values
('R_1', 'PR_1', 'U_bob', 'bob', 'commented', '2026-01-05T15:30Z', true, 6.5),
('R_2', 'PR_1', 'U_cleo', 'cleo', 'approved', '2026-01-06T08:00Z', false, 23);
insert into marts.fct_open_pull_requests values
('PR_8', 'waiting_for_review', '2026-01-19T00:00Z', 24, 24, 0, 0),
('PR_9', 'approved', '2026-01-19T12:00Z', 48, 12, 3, 2),
('PR_10', 'draft', '2026-01-17T00:00Z', 72, 72, 0, 0);
insert into marts.fct_pull_requests values
('PR_1', 'acme/app', 1, 'First', 'https://github.com/acme/app/pull/1', 'ada', 'merged',
 '2026-01-05T09:00Z', '2026-01-06T09:00Z', '2026-01-06T09:00Z', '2026-01-05T08:00Z',
 '2026-01-05T08:00Z', '2026-01-05T15:30Z', 24, 1, 0, 6.5, 17.5, 25, 10, 2, 12),
('PR_2', 'acme/app', 2, 'Second', 'https://github.com/acme/app/pull/2', 'bob', 'merged',
 '2026-01-05T09:00Z', '2026-01-05T19:00Z', '2026-01-05T19:00Z', null,
 '2026-01-05T09:00Z', null, 10, 0, 0, 10, 0, 10, null, null, null),
('PR_3', 'acme/app', 3, 'Third', 'https://github.com/acme/app/pull/3', 'ada', 'merged',
 '2026-01-11T00:00Z', '2026-01-12T00:00Z', '2026-01-12T00:00Z', null,
 '2026-01-11T00:00Z', null, 24, 0, 0, 24, 0, 24, 1, 1, 2),
('PR_7', 'acme/app', 7, 'Given up', 'https://github.com/acme/app/pull/7', 'bob', 'closed',
 '2026-01-06T00:00Z', null, '2026-01-07T00:00Z', null,
 '2026-01-06T00:00Z', null, null, null, null, null, null, null, 1, 1, 2),
('PR_8', 'acme/app', 8, 'Waits', 'https://github.com/acme/app/pull/8', 'bob', 'open',
 '2026-01-19T00:00Z', null, null, null,
 '2026-01-19T00:00Z', null, null, null, null, null, null, null, 3, 4, 7),
('PR_9', 'acme/lib', 9, 'Ready', 'https://github.com/acme/lib/pull/9', 'bob', 'open',
 '2026-01-18T00:00Z', null, null, null,
 '2026-01-18T00:00Z', '2026-01-19T06:00Z', null, null, null, null, null, null, null, null, null),
('PR_10', 'acme/app', 10, 'Begun', 'https://github.com/acme/app/pull/10', 'cleo', 'open',
 '2026-01-17T00:00Z', null, null, null,
 '2026-01-17T00:00Z', null, null, null, null, null, null, null, 1, 0, 1);
update marts.fct_pull_requests set author_id = author;
update marts.fct_team_pull_requests set
    week = date_trunc('week', merged_at at time zone 'UTC')::date,
    month = date_trunc('month', merged_at at time zone 'UTC')::date;
"""
# `eng` contains both teams, `eng.site` contains web.
ROWS += """
insert into marts.dim_groups values
('all', 'All teams', null), ('eng', 'Eng', 'all'), ('eng.site', 'Eng/Site', 'eng');
insert into marts.dim_group_teams values
('all', 'core', true), ('all', 'web', true), ('eng', 'web', true), ('eng', 'core', true),
('eng.site', 'web', true);
insert into marts.fct_group_velocity_weekly values
('all', '2026-01-12', 1, 1.0, 24, 24, 1, true),
('all', '2026-01-05', 2, 2.0, 17, 17, 2, true),
('eng.site', '2026-01-05', 2, 1.5, 17, 14.666666666666666, 2, true);
insert into marts.fct_group_lead_time_monthly values
('all', '2026-01-01', 3, 24, 24, 24, 24, 0, 0, 15, 4.5, false);
insert into marts.fct_group_pull_requests values
('all', 'PR_1', 1.0, '2026-01-06T09:00Z', '2026-01-06T09:00Z'),
('all', 'PR_2', 1.0, '2026-01-05T19:00Z', '2026-01-05T19:00Z'),
('all', 'PR_3', 1.0, '2026-01-12T00:00Z', '2026-01-12T00:00Z'),
('all', 'PR_7', 1.0, '2026-01-07T00:00Z', null);
insert into marts.fct_group_deployments values ('all', 'D_1', 1), ('all', 'D_2', 1);
insert into marts.fct_group_delivery_weekly
select 'all', week, 3 from marts.fct_team_delivery_weekly where deployments = 2;
insert into marts.fct_group_delivery_monthly
select 'all', month, 3 from marts.fct_team_delivery_monthly;
update marts.fct_group_delivery_weekly set is_complete = true, is_settled = false;
update marts.fct_group_delivery_monthly set is_complete = false, is_settled = false;
"""

ALL_KEY, _ALL = new_key("all")
WEB_KEY, _WEB = new_key("web-only", ["web"])
# Seconds that tests wait for a response that never comes.
SOON = 0.5
API_KEYS = json.dumps([_ALL, _WEB])


@dataclass
class Marts:
    """The hand-made marts: their URL, and a connection to change them."""

    url: str = field(repr=False)
    owner: Connection[Any]

    def run(self, statement: str, *parameters: object) -> None:
        self.owner.execute(statement, parameters or None)


def settings_for(url: str, api_keys: str | None = API_KEYS) -> Settings:
    return Settings(
        _env_file=None,
        db_url=SecretStr(url),
        api_keys=None if api_keys is None else SecretStr(api_keys),
    )


class Client:
    """Calls an app with a key and from an address; an exception in the app becomes a response."""

    def __init__(
        self,
        app: FastAPI,
        key: str | None = ALL_KEY,
        address: str = "192.0.2.1",
        host: str = "127.0.0.1",
    ) -> None:
        self._app = app
        self._headers = {} if key is None else {"X-API-Key": key}
        self._address = address
        self._host = host

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(
                self._app, raise_app_exceptions=False, client=(self._address, 50000)
            )
            async with httpx.AsyncClient(
                transport=transport, base_url=f"http://{self._host}", headers=self._headers
            ) as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())


class Gate:
    """A TCP proxy to a database: open, closed (refuses connections) or stuck (forwards nothing)."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._sockets: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self._flowing = threading.Event()
        self._port = 0
        self.open()
        login, at, _ = parts.netloc.rpartition("@")
        self.url = parts._replace(netloc=f"{login}{at}127.0.0.1:{self._port}").geturl()

    def open(self) -> None:
        self._flowing.set()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self._port))
            self._port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def close(self) -> None:
        self._flowing.set()
        if self._listener is not None:
            # Only a shutdown wakes the accepting thread.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._sockets.clear()

    def stick(self) -> None:
        self._flowing.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=[source, sink], daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
