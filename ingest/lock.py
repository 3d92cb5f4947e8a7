"""One ingest run at a time per database, on whatever machines: a Postgres advisory lock."""

from collections.abc import Iterator
from contextlib import contextmanager

from dora.database import Database

# Any number will do that no other user of advisory locks in this database takes.
KEY = 0x646F7261


@contextmanager
def exclusive(database: Database) -> Iterator[bool]:
    """Yield whether no other run is under way; it counts as one until the block ends.

    The server frees the lock when the connection ends, so a killed run leaves none behind.
    """
    with database.connect(autocommit=True) as connection:
        row = connection.execute("select pg_try_advisory_lock(%s)", [KEY]).fetchone()
        yield row == (True,)
