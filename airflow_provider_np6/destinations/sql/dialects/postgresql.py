"""PostgreSQL: COPY into the keyed table itself, twice as fast as a staging table and a merge."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import IO, TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations.sql.dialects.base import TableDialect
from airflow_provider_np6.destinations.sql.dialects.values import (
    Barrier,
    ErrorKind,
    Lock,
    StoredIndex,
    TableName,
    get_state,
    read_rows,
)
from airflow_provider_np6.np6.window import from_ms

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.schema import Column, Kind

_BLOCK = 256 * 1024
_OPTIONS = r"FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02', ENCODING 'UTF8'"
_PASSING = ("08", "40", "53", "57P")
_FINAL = ("0A", "22", "23", "25", "28", "3D", "3F", "42", "44", "55000")
_ENCODING = ("22P05", "22021")
_REFUSED = re.compile(
    r"password authentication failed|authentification par mot de passe|no password supplied|pg_hba"
    r"|(database|role) .* does not exist|n'existe pas|not permitted to log in|autorisé à se connecter"
    r"|permission denied for database|droit refusé|unrecognized configuration parameter"
)
"""Drivers give no code for what a server says to a new connection, so its words are looked for."""
_REFUSES = (
    "the server refuses the connection",
    (
        "Check the connection's login, password and schema (the database's name), and that the database lets"
        " this login connect."
    ),
)
_FILES = "Write files, and load these into the database."
_STANDBY = "The server is a standby: connect to the primary."
_NO_SCHEMA = "Set the destination's schema, or the role's search_path."
_EXPLAINED = {
    "42501": ("a right is missing", "Grant it, or drop the row-level security policy that refuses the rows."),
    "25006": ("the session is read-only", "Let the role write, or connect to the primary."),
    "23502": ("another column of the table must not be NULL", "Give it a default, or drop its NOT NULL."),
    "23514": (
        "a check constraint or a missing partition refuses a row",
        "Drop the constraint, or create a partition for the events: CREATE TABLE … PARTITION OF … DEFAULT.",
    ),
    "53100": ("the server's disk is full", "Make room."),
}
_SESSION = """SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL timezone = 'UTC';
SET LOCAL quote_all_identifiers = off"""
"""What our statements and the driver's reading of times and strings rely on. The lock comes after it, and a
snapshot that was taken before the lock would not show the other's rows, hence READ COMMITTED."""
_FLAWS = {"v": "is a view", "m": "is a materialized view", "f": "is a foreign table"}


class PostgresDialect(TableDialect):
    can_bulk_load: ClassVar[bool] = True
    is_known: ClassVar[bool] = True
    if_missing: ClassVar[str] = "IF NOT EXISTS "
    if_exists: ClassVar[str] = "IF EXISTS "
    types: ClassVar[Mapping[Kind, str]] = {
        "key": "TEXT",
        "text": "TEXT",
        "timestamp": "TIMESTAMPTZ(3)",
        "count": "BIGINT",
        "payload": "JSON",
    }
    fits: ClassVar[Mapping[Kind, str]] = {
        "key": r"text|character varying(\(\d{2,}\))?|uuid",
        "text": "text|character varying",
        "timestamp": r"timestamp(\([3-6]\))? with time zone",
        "count": "bigint|numeric",
        "payload": "json|text|character varying",  # jsonb would lose order, spacing and doubled keys
    }
    reading: ClassVar[Mapping[Kind, str]] = {"payload": "CAST({} AS TEXT)"}  # drivers parse JSON

    def text(self, value: Any) -> Any:
        """No string of PostgreSQL has a NUL: such a value is in the payload alone."""
        return None if isinstance(value, str) and "\0" in value else value

    def to_time(self, ms: int) -> datetime:
        return from_ms(ms)

    def prepare(self, connection: Any) -> None:
        if hasattr(connection, "prepare_threshold"):  # psycopg 3
            connection.prepare_threshold = None  # behind a pooler, the next transaction has another session
        else:
            connection.set_client_encoding("UTF8")

    def begin(self, cursor: Any, *, is_writing: bool) -> None:
        cursor.execute(_SESSION)
        if not _is_psycopg2(cursor):  # that one quotes as the setting was when it connected
            cursor.execute("SET LOCAL standard_conforming_strings = on")

    def lock(self, cursor: Any, lock: Lock) -> None:
        table = self._lock_key(cursor, lock.table)
        shared = "_shared" if lock.series else ""
        cursor.execute(f"SELECT pg_advisory_xact_lock{shared}(%s)", (table,))
        if lock.series:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_to_key(str(table), *lock.series),))

    def prepare_ddl(self, cursor: Any, name: TableName) -> None:
        cursor.execute("SET LOCAL lock_timeout = '10s'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (self._lock_key(cursor, name),))

    def _lock_key(self, cursor: Any, name: TableName) -> int:
        """The key of a table's lock: from names, for another table may get its oid."""
        cursor.execute("SELECT current_database() AS name")
        ((database,),) = read_rows(cursor, ["name"])
        return _to_key(str(database), str(self.resolve(cursor, name).schema), name.table)

    def failure(self, error: Exception) -> ErrorKind:
        state = get_state(error)
        if not state and _REFUSED.search(str(error)):
            return ErrorKind.PERMANENT
        if state == "23505":
            return ErrorKind.DUPLICATE_KEY
        if state == "55P03":
            return ErrorKind.LOCKED
        if state.startswith(_PASSING):
            return ErrorKind.TRANSIENT
        if state.startswith(_FINAL):
            return ErrorKind.PERMANENT
        return ErrorKind.UNKNOWN if state else super().failure(error)

    def stored_types(self, cursor: Any, name: TableName) -> dict[str, str] | None:
        cursor.execute(
            "SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (self.quote_name(name),),
        )
        return dict(read_rows(cursor, ["name", "type"])) or None

    def stored_indexes(self, cursor: Any, name: TableName) -> list[StoredIndex] | None:
        cursor.execute(
            "SELECT indexrelid AS index, attname AS name, indisunique AND indimmediate AS is_unique"
            " FROM pg_index CROSS JOIN LATERAL unnest(indkey::int2[]) WITH ORDINALITY AS key (number, place)"
            " JOIN pg_attribute ON attrelid = indrelid AND attnum = number"
            " WHERE indrelid = to_regclass(%s) AND indisvalid AND indpred IS NULL AND indexprs IS NULL"
            " AND place <= indnkeyatts ORDER BY indexrelid, place",
            (self.quote_name(name),),
        )
        indexes: dict[tuple[Any, bool], list[str]] = {}
        for index, column, is_unique in read_rows(cursor, ["index", "name", "is_unique"]):
            indexes.setdefault((index, is_unique), []).append(column)
        return [StoredIndex(tuple(columns), is_unique) for (_, is_unique), columns in indexes.items()]

    def find_flaw(self, cursor: Any, name: TableName, key: Sequence[str]) -> tuple[str, str] | None:
        cursor.execute(
            "SELECT relkind AS kind, ARRAY(SELECT attname::text FROM pg_partitioned_table"
            " JOIN pg_attribute ON attrelid = partrelid AND attnum = ANY(partattrs)"
            " WHERE partrelid = pg_class.oid) AS columns, row_security_active(oid) AS is_secured"
            " FROM pg_class WHERE oid = to_regclass(%s)",
            (self.quote_name(name),),
        )
        for kind, columns, is_secured in read_rows(cursor, ["kind", "columns", "is_secured"]):
            if kind in _FLAWS:
                return _FLAWS[kind], ""
            if is_secured:
                role = self.get_role(cursor)
                what = f"has a row-level security policy for role {role}, which hides or refuses rows"
                return what, f"ALTER ROLE {role} BYPASSRLS"
            if not set(columns) <= set(key):
                wanted = ", ".join(columns)
                what = f"is partitioned by {wanted}, and PostgreSQL keeps keys unique within a partition only"
                return f"{what}: partition it by a column of the key ({', '.join(key)})", ""
        return None

    def resolve(self, cursor: Any, name: TableName) -> TableName:
        stored = (
            "(SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE pg_class.oid = to_regclass(%s))"
        )
        cursor.execute(
            f"SELECT COALESCE(%s, {stored}, current_schema()) AS schema", (name.schema, self.quote_name(name))
        )
        ((schema,),) = read_rows(cursor, ["schema"])
        return TableName(schema and str(schema), name.table)

    def get_role(self, cursor: Any) -> str:
        cursor.execute("SELECT current_user AS role")
        return self.quote(str(read_rows(cursor, ["role"])[0][0]))

    def find_barrier(self, cursor: Any, name: TableName) -> Barrier | None:
        cursor.execute(
            "SELECT current_setting('transaction_read_only') AS read_only, pg_is_in_recovery() AS standby,"
            " (SELECT source FROM pg_settings WHERE name = 'default_transaction_read_only') AS source,"
            " version() AS version, current_database() AS database, COALESCE(%s, current_schema()) AS schema,"
            " has_database_privilege(current_database(), 'TEMPORARY') AS can_stage,"
            " (SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace"
            " WHERE nspname = COALESCE(%s, current_schema())) AS can_use",
            (name.schema, name.schema),
        )
        columns = ["read_only", "standby", "source", "version", "database", "schema", "can_stage", "can_use"]
        ((read_only, standby, source, version, database, schema, can_stage, can_use),) = read_rows(
            cursor, columns
        )
        role = self.get_role(cursor)
        quoted = self.quote(str(schema))
        grant = f"GRANT USAGE, CREATE ON SCHEMA {quoted} TO {role}"
        stage = f"GRANT TEMPORARY ON DATABASE {self.quote(str(database))} TO {role}"
        barriers = (
            (
                "CockroachDB" in str(version),
                Barrier("cannot be written: CockroachDB has no locks", hint=_FILES),
            ),
            (standby, Barrier("cannot be written now", hint=_STANDBY, is_passing=True)),
            (read_only == "on", _read_only(str(source), role, self.quote(str(database)))),
            (schema is None, Barrier("has no schema: none of the search path exists", hint=_NO_SCHEMA)),
            (
                can_use is None,
                Barrier(f"has no schema: {schema} does not exist", (f"CREATE SCHEMA {quoted}", grant)),
            ),
            (not can_use, Barrier(f"cannot be used: role {role} has no right on schema {schema}", (grant,))),
            (
                not can_stage,
                Barrier(f"cannot be written: role {role} may not create temporary tables", (stage,)),
            ),
        )
        return next((barrier for is_met, barrier in barriers if is_met), None)

    def missing_rights(
        self, cursor: Any, name: TableName, columns: Sequence[str], rights: Sequence[str]
    ) -> list[str]:
        by_column = "bool_and(has_column_privilege(attrelid, attnum, '{}'))"
        by_table = "bool_and(has_table_privilege(attrelid, '{}'))"
        selected = ", ".join(
            f"{(by_table if right == 'DELETE' else by_column).format(right)} AS {right.lower()}_"
            for right in rights
        )
        cursor.execute(
            f"SELECT {selected} FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = ANY(%s)",
            (self.quote_name(name), list(columns)),
        )
        (row,) = read_rows(cursor, [f"{right.lower()}_" for right in rights])
        return [right for right, is_given in zip(rights, row, strict=True) if not is_given]

    def is_forbidden(self, error: Exception) -> bool:
        return get_state(error) == "42501"

    def explain(self, error: Exception) -> tuple[str, str] | None:
        state = get_state(error)
        if state in _ENCODING:
            named = re.findall(r"[\"«]\s?([A-Z][A-Z0-9_]{3,})\s?[\"»]", str(error))
            encoding = f" {named[-1]}" if named else ""
            return (
                f"the database's encoding{encoding} lacks a character of an event",
                "Use a database with the encoding UTF8, or write files.",
            )
        if not state and _REFUSED.search(str(error)):
            return _REFUSES
        return _EXPLAINED.get(state)

    def retype(self, name: TableName, column: Column, *, required: bool) -> str:
        quoted = self.quote(column.name)
        using = (
            f"{quoted} AT TIME ZONE 'UTC'"
            if column.kind == "timestamp"
            else f"{quoted}::{self.types[column.kind]}"
        )
        return f"{super().retype(name, column, required=required)} USING {using}"

    def bulk_load(self, cursor: Any, table: str, columns: str, spool: IO[bytes]) -> None:
        statement = f"COPY {table} ({columns}) FROM STDIN WITH ({_OPTIONS})"
        if _is_psycopg2(cursor):
            cursor.copy_expert(statement, spool, _BLOCK)
            return
        with cursor.copy(statement) as copy:
            while block := spool.read(_BLOCK):
                copy.write(block)


def _is_psycopg2(cursor: Any) -> bool:
    return hasattr(cursor, "copy_expert")


def _read_only(source: str, role: str, database: str) -> Barrier:
    """A session that may not write, and the statement that lets it, where its setting was found."""
    setting = "SET default_transaction_read_only = off"
    statements = {
        "user": f"ALTER ROLE {role} {setting}",
        "database": f"ALTER DATABASE {database} {setting}",
        "database user": f"ALTER ROLE {role} IN DATABASE {database} {setting}",
    }
    hint = "Remove default_transaction_read_only from the connection's options or the server's configuration."
    statement = statements.get(source)
    return Barrier(
        "cannot be written: the session is read-only",
        (statement,) if statement else (),
        "" if statement else hint,
    )


def _to_key(*names: str) -> int:
    """Names as the key of an advisory lock, 64 bits."""
    digest = blake2b("\0".join(("airflow-provider-np6", *names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
