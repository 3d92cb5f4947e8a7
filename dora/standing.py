"""What readers see while a build is under way: the marts as they stood before it, whole."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection, Error, errors, sql

from dora.database import Database
from dora.roles import TRANSFORM

logger = logging.getLogger(__name__)

# The API reads it, in api/marts.py, together with what it answers.
_NOTE = "dora build under way: {}"
_NOTES = re.compile(r"\s*dora build under way: [0-9A-F-]+")
_COMMENT = "select obj_description(to_regnamespace('marts'), 'pg_namespace')"


@contextmanager
def standing(database: Database) -> Iterator[None]:
    """Keep a snapshot of the database for a block, and leave word of it on the schema `marts`.

    A build writes table after table, each at once. Who reads several of them reads by the snapshot
    (`pg_export_snapshot`) what they were together. Where the block's process is killed, the note
    stays until the next build and leads to no snapshot any more; where the block raises, the marts
    get another `build_id`.
    """
    with (
        database.connect(TRANSFORM) as keeper,
        database.connect(TRANSFORM, autocommit=True) as writer,
    ):
        keeper.execute("set transaction isolation level repeatable read, read only")
        # Longer than a build that hangs: the server would end the snapshot with the session.
        keeper.execute("set idle_in_transaction_session_timeout = 0")
        (snapshot,) = keeper.execute("select pg_export_snapshot()").fetchone() or (None,)
        (said,) = writer.execute(_COMMENT).fetchone() or (None,)
        said = _NOTES.sub("", said or "")
        _say(writer, f"{said} {_NOTE.format(snapshot)}".strip())
        try:
            yield
        except BaseException:
            _name_anew(writer)
            raise
        finally:
            _say(writer, said or None)


def _name_anew(connection: Connection[Any]) -> None:
    """What was cut off may have written some of the marts, and not named itself."""
    try:
        connection.execute("update marts.dim_build set build_id = gen_random_uuid()::text")
    except errors.UndefinedTable:
        # Without marts there is nothing to be named.
        pass
    except Error as error:
        # Not what cut the build off, which is raised.
        logger.warning("the marts keep their build_id: %s", error)


def _say(connection: Connection[Any], comment: str | None) -> None:
    try:
        connection.execute(sql.SQL("comment on schema marts is {}").format(sql.Literal(comment)))
    except Error as error:
        # Not the build's own failure: readers may see it come table by table.
        logger.warning("no note on the schema marts: %s", error)
