"""Reads single deployments, releases and tags again, for changes that no list shows.

Deployments are listed by creation: a success days later does not change the order. A moved tag
changes only the commit of its release.
"""

from collections.abc import Callable
from datetime import timedelta

from ingest.delivery.by_id import ById, Subject
from ingest.delivery.checkpoint import Round
from ingest.delivery.load_context import LoadContext
from ingest.github.adaptive_page_size import LONGEST
from ingest.github.deliveries import Kind

# An approval may take 30 days; unsettled older deployments are read weekly.
UNSETTLED_FOR = timedelta(days=35)
# Younger objects are read daily: a day longer than the window in which a deployment may fail
# (failure_window_days), so that the last reading is after its end.
YOUNG_FOR = timedelta(days=8)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
_SETTLED = """
    exists (
        select from raw.deployment_statuses as statuses
        where
            statuses.deployment_id = deployments.id
            and statuses.state in ('SUCCESS', 'FAILURE', 'ERROR', 'INACTIVE')
    )
"""
_HEAD = "select id, kind, repository_id from ("
# `_dlt_load_id` leaves out the rows of this run.
_TAIL = """
    ) as due
    where id > %(after)s and _dlt_load_id <= %(before)s and vanished_at is null
    order by id
"""
_EVERY_RUN = f"""
    {_HEAD}
    select id, 'deployments' as kind, repository_id, _dlt_load_id, vanished_at
    from raw.deployments
    where created_at > %(unsettled)s and not {_SETTLED}
    union all
    select id, 'releases', repository_id, _dlt_load_id, vanished_at
    from raw.releases
    where is_draft
    {_TAIL}
"""
_DAILY = f"""
    {_HEAD}
    select id, 'deployments' as kind, repository_id, _dlt_load_id, vanished_at
    from raw.deployments
    where
        {_SETTLED}
        and (
            created_at > %(young)s
            or exists (
                select from raw.deployment_statuses as statuses
                where
                    statuses.deployment_id = deployments.id
                    and statuses.created_at > %(young)s
            )
        )
    union all
    select id, 'releases', repository_id, _dlt_load_id, vanished_at
    from raw.releases
    where greatest(created_at, published_at) > %(young)s
    union all
    select id, 'tags', repository_id, _dlt_load_id, vanished_at
    from raw.tags
    where tagged_at > %(young)s
    {_TAIL}
"""
_WEEKLY = f"""
    {_HEAD}
    select id, 'deployments' as kind, repository_id, _dlt_load_id, vanished_at
    from raw.deployments
    where created_at <= %(unsettled)s and not {_SETTLED}
    union all
    select id, 'releases', repository_id, _dlt_load_id, vanished_at
    from raw.releases
    union all
    select id, 'tags', repository_id, _dlt_load_id, vanished_at
    from raw.tags
    union all
    select subject_id, kind || 's', repository_id, '', null::timestamptz
    from raw.ingest_failures
    where kind in ('deployment', 'release', 'tag') and resolved_at is null
    {_TAIL}
"""
_KIND_OF: dict[str, Kind] = {"deployment": "deployments", "release": "releases", "tag": "tags"}
_ROUNDS = {"daily": (_DAILY, DAY), "weekly": (_WEEKLY, WEEK)}


async def read_again(
    desk: LoadContext, by_id: ById, is_wanted: Callable[[Subject], bool], before: str
) -> None:
    """Read again the objects that are due.

    `before` is dlt's last load before this run.
    """
    subjects: dict[str, Subject] = {
        key: (_KIND_OF[kind], repository_id)
        for key, repository_id, kind in desk.failures.to_retry("deployment", "release", "tag")
    }
    subjects |= _due(desk, _EVERY_RUN, "", before)
    await by_id.fetch({key: each for key, each in subjects.items() if is_wanted(each)})
    for name, (query, every) in _ROUNDS.items():
        state = desk.known.rounds.get(name, Round())
        now = desk.now
        if state.done_at is None:
            desk.known.rounds[name] = Round(done_at=now)
            continue
        if now < state.done_at + every:
            continue
        due = {k: s for k, s in _due(desk, query, state.after, before).items() if is_wanted(s)}
        keys = list(due)
        for start in range(0, len(keys), LONGEST):
            part = keys[start : start + LONGEST]
            await by_id.fetch({key: due[key] for key in part})
            await desk.land()
            desk.known.rounds[name] = Round(done_at=state.done_at, after=part[-1])
        desk.known.rounds[name] = Round(done_at=now)
    await desk.land()


def _due(desk: LoadContext, query: str, after: str, before: str) -> dict[str, Subject]:
    now = desk.now
    values = {
        "after": after,
        "before": before,
        "unsettled": now - UNSETTLED_FOR,
        "young": now - YOUNG_FOR,
    }
    return {row[0]: (row[1], row[2]) for row in desk.select_named(query, values)}
