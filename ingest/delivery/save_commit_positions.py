"""Writes each commit's place in the graph into `raw.commits`.

Not with dlt, which would load half a million rows a second time. One transaction updates the rows
of a repository that differ.
"""

from psycopg.types.json import Jsonb

from dora.database import Database
from dora.roles import INGEST
from ingest.commit_graph import Graph

_COMMITS = "select sha, parents from raw.commits where repository_id = %s"
_TABLE = """
    create temporary table places (
        sha text, landed bigint, fork bigint, line text, line_position bigint, reach jsonb
    ) on commit drop
"""
_COPY = "copy places (sha, landed, fork, line, line_position, reach) from stdin"
_UPDATE = """
    update raw.commits
    set
        landed = places.landed,
        fork = places.fork,
        line = places.line,
        line_position = places.line_position,
        reach = places.reach
    from places
    where
        commits.repository_id = %s
        and commits.sha = places.sha
        and row(commits.landed, commits.fork, commits.line, commits.line_position, commits.reach)
        is distinct from
        row(places.landed, places.fork, places.line, places.line_position, places.reach)
"""


def place_commits(database: Database, repository_id: str, tip: str | None) -> None:
    """Update the places of a repository's commits; all of them must be loaded.

    `tip` is the latest commit of its default branch.
    """
    qualify = database.schemas.qualify
    with database.connect(INGEST) as connection:
        with connection.cursor("commits") as cursor:
            cursor.itersize = 10_000
            cursor.execute(qualify(_COMMITS), [repository_id])
            graph = Graph(((sha, parents.split()) for sha, parents in cursor), tip)
        connection.execute(_TABLE)
        with connection.cursor().copy(_COPY) as copy:
            for sha, place in graph.places():
                copy.write_row((sha, *place[:-1], place.reach and Jsonb(place.reach)))
        connection.execute("analyze places")
        connection.execute(qualify(_UPDATE), [repository_id])
