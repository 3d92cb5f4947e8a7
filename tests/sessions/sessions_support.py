import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from dora.embedded_postgres.location import Place

PASSWORD = "a password"
Command = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Server:
    """A running server; its folder contains its socket and the certificates."""

    place: Place
    port: int

    @property
    def folder(self) -> Path:
        return self.place.folder

    def url(self, database: str, login: str = "dora") -> str:
        return f"postgresql://{login}:{quote(PASSWORD)}@127.0.0.1:{self.port}/{database}"

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@dataclass(frozen=True)
class Pooler:
    """A pgbouncer with one connection to the server for each database."""

    port: int
    settings: dict[str, str]

    def url(self, database: str) -> str:
        return f"postgresql://dora:{quote(PASSWORD)}@127.0.0.1:{self.port}/{database}"
