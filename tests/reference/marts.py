"""Compute the rows of the fact tables from records, teams and coverage."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

from .coverage import Build, Coverage, build
from .groups import GroupWindow, group_windows, in_groups, members_of_groups
from .open_pull_requests import described
from .pull_requests import Attribution, Row, attribute, measure
from .records import Membership, People, PullRequest, Record, memberships, team_id
from .rollups import Periods, rows_of_team


@dataclass
class Marts:
    """Rows by key, each a dict of the columns in docs/metrics.md, with the node id if known."""

    build: Build
    pull_requests: dict[tuple[str, int], Row] = field(default_factory=dict)
    open_pull_requests: dict[tuple[str, int], Row] = field(default_factory=dict)
    team_pull_requests: dict[tuple[str, str, int], Row] = field(default_factory=dict)
    velocity: dict[tuple[str, date], Row] = field(default_factory=dict)
    lead_time: dict[tuple[str, date], Row] = field(default_factory=dict)
    group_pull_requests: dict[tuple[str, str, int], Row] = field(default_factory=dict)
    group_velocity: dict[tuple[str, date], Row] = field(default_factory=dict)
    group_lead_time: dict[tuple[str, date], Row] = field(default_factory=dict)


def reference(
    records: Iterable[Record],
    teams: Iterable[Record],
    coverage: Mapping[str, Coverage],
    *,
    reporting_timezone: str = "UTC",
    attribution_instant: str = "merged_at",
    logins: Mapping[str, Iterable[str]] | None = None,
    bearers: Mapping[str, str] | None = None,
    rules: Iterable[Record] = (),
    automation: Iterable[str] = (),
) -> Marts:
    """Compute the marts.

    `records` are pull requests as in a JSONL file, `teams` is the team configuration, `coverage`
    how far each repository is loaded, `logins` further logins seen by user id (in addition to those
    in the records), `bearers` the user id that has a login now, if known. `rules` and `automation`
    are the settings PULL_REQUESTS and AUTOMATION_LOGINS. A pull request merged before its creation
    is left out, because the ingest rejects it. Raises ValueError for a duplicate pull request, or
    an invalid draft event, weight, instant or attribution instant.
    """
    teams = list(teams)
    seen = _read(records)
    windows = memberships(teams)
    people = People.of(seen, logins or {}, bearers or {}, windows, automation)
    present = [pull_request for pull_request in seen if not pull_request.vanished]
    by_login: dict[str, list[Membership]] = {}
    by_team: dict[str, list[Membership]] = {team_id(team): [] for team in teams}
    for membership in windows:
        by_login.setdefault(membership.login, []).append(membership)
        by_team[membership.team_id].append(membership)
    groups: dict[str, list[GroupWindow]] = {}
    for window in group_windows(teams):
        groups.setdefault(window.team_id, []).append(window)

    marts = Marts(build(coverage, present))
    attributions: dict[str, list[Attribution]] = {}
    for pull_request in present:
        held = [
            membership
            for login in people.member_logins_of(pull_request.author)
            for membership in by_login.get(login, ())
        ]
        if not held:
            continue
        measured = measure(pull_request, people)
        excluded_by = pull_request.excluded_by(rules)
        marts.pull_requests[pull_request.key] = measured.row() | {
            "excluded_by": excluded_by,
            "is_bot": people.is_bot(pull_request.author),
        }
        if excluded_by is not None:
            continue
        if pull_request.state == "open" and marts.build.as_of is not None:
            row = described(pull_request, people, marts.build.as_of)
            marts.open_pull_requests[pull_request.key] = row
        to_teams = list(attribute(measured, held, attribution_instant))
        to_groups = list(in_groups(to_teams, groups))
        marts.team_pull_requests |= {one.key: one.row() for one in to_teams}
        marts.group_pull_requests |= {one.key: of_group(one.row()) for one in to_groups}
        for attribution in to_teams + to_groups:
            attributions.setdefault(attribution.team_id, []).append(attribution)

    zone = ZoneInfo(reporting_timezone)
    for column, rows in (("week", marts.velocity), ("month", marts.lead_time)):
        periods = Periods(column, zone)
        for team, held in by_team.items():
            merged = attributions.get(team, [])
            for period, row in rows_of_team(team, held, merged, marts.build, periods, people):
                rows[team, period] = row
    by_group = members_of_groups(windows, groups)
    for column, rows in (("week", marts.group_velocity), ("month", marts.group_lead_time)):
        periods = Periods(column, zone)
        for group, held in by_group.items():
            merged = attributions.get(group, [])
            for period, row in rows_of_team(group, held, merged, marts.build, periods, people):
                rows[group, period] = of_group(row)
    return marts


def of_group(row: Row) -> Row:
    """Return a row of a team as a row of a group."""
    return {"group_id" if name == "team_id" else name: value for name, value in row.items()}


def _read(records: Iterable[Record]) -> list[PullRequest]:
    read: dict[tuple[str, int], PullRequest] = {}
    for record in records:
        pull_request = PullRequest.of(record)
        if pull_request.key in read:
            raise ValueError(f"{pull_request.repository}#{pull_request.number} occurs twice")
        if pull_request.merged_at is None or pull_request.merged_at >= pull_request.created_at:
            read[pull_request.key] = pull_request
    return list(read.values())
