"""``<table>_header``: what is recorded once for a table, and once for each series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.sql.layout import VERSION
from airflow_provider_np6.np6.caps import ResponseSize, VerifiedSize
from airflow_provider_np6.np6.errors import Np6WriteRefusedError, check_version
from airflow_provider_np6.privacy.erasure_filter import ErasureList

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.requirements import PullRequirements
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.destinations.sql.table import Condition

Series = tuple[str, str]
"""Event type and classification."""

_COMMON: Series = ("", "")


@dataclass(frozen=True)
class SeriesRow:
    """What is recorded of one series.

    :param form: ``by_action`` or ``all_actions``.
    :param verified: the largest response that was verified to be whole; None if none was.
    """

    form: str
    verified: VerifiedSize | None


@dataclass(frozen=True)
class TableHeader:
    """What all pulls into a table have in common.

    :param account: label of the account.
    :param personal_data: form of personal data: a mode, and for tokens a colon and the fingerprint of their
        key.
    :param erasures: version of the erasure list; 0 if nobody was erased.
    :param series: rows of series; all that were read.
    """

    account: str
    personal_data: str
    erasures: int
    series: dict[Series, SeriesRow]


def read_header(database: Database, cursor: Any, series: Series | None = None) -> TableHeader | None:
    """The header; None if nothing was ever pulled.

    :param series: read only this one; None for all.
    :raises Np6ConflictError: if the tables are of a later format.
    """
    where: Condition = {}
    if series is not None:
        where = {"event_type IN": sorted({"", series[0]}), "classification IN": sorted({"", series[1]})}
    columns = [column.name for column in database.header.columns]
    rows = {
        (row[0], row[1]): dict(zip(columns, row, strict=True))
        for row in database.header.select(cursor, columns, where)
    }
    common = rows.pop(_COMMON, None)
    if common is None:
        return None
    check_version(str(database), int(common["version"]), VERSION)
    return TableHeader(
        str(common["account"]),
        str(common["personal_data"]),
        int(common["erasures"]),
        {key: SeriesRow(str(row["form"]), _verified(database, row)) for key, row in rows.items()},
    )


def check_requirements(
    database: Database,
    header: TableHeader | None,
    requirements: PullRequirements,
    erasures: int | None = None,
) -> None:
    """Refuse what may not be added to the table; see :meth:`PullRequirements.check_common`."""
    if header is not None:
        row = header.series.get(to_series(requirements))
        requirements.check_common(str(database), header, row.form if row else None, erasures)


def record_pull(
    database: Database, cursor: Any, header: TableHeader | None, requirements: PullRequirements
) -> None:
    """Write the header and the series, where nothing was pulled before. If another pull does so at the same
    time, one of the two fails with a duplicate key, and reads what the other has written."""
    series = to_series(requirements)
    if header is None:
        common = {
            "version": VERSION,
            "account": requirements.account,
            "personal_data": requirements.personal_data,
            "erasures": 0,
        }
        database.header.insert_rows(cursor, [_key(_COMMON) | common])
    if header is None or series not in header.series:
        database.header.insert_rows(cursor, [_key(series) | {"form": requirements.form}])


def remember_verified_size(
    database: Database,
    cursor: Any,
    requirements: PullRequirements,
    known: VerifiedSize | None,
    verified: VerifiedSize | None,
) -> None:
    """Record the largest response of a series that was verified.

    :param known: what is recorded; None if that no longer counts.
    :param verified: the new response's size; None if nothing larger was verified.
    """
    if verified is not None and known is not None and known.is_current(verified.verified_at):
        verified = known.with_size(verified)
    changes = {
        "verified_events": verified and verified.size.events,
        "verified_bytes": verified and verified.size.bytes,
        "verified_at": verified and verified.verified_at,
    }
    database.header.update(cursor, changes, _where(to_series(requirements)))


def raise_erasures(database: Database, cursor: Any, version: int) -> None:
    """Record a new version of the erasure list."""
    database.header.update(cursor, {"erasures": version}, _where(_COMMON))


def is_erasing(database: Database, cursor: Any) -> bool:
    """Whether an erasure runs, or broke off: the table may still have events of erased persons."""
    return database.erased.count(cursor, {"removed_at IS": None}) > 0


def read_erasure_list(database: Database, cursor: Any, erasures: int) -> ErasureList | None:
    """The persons whose events are kept out of the table.

    :param erasures: version of the list, as the header has it.
    :return: None if nobody was erased.
    :raises Np6WriteRefusedError: if the list cannot be seen: erased persons would come back.
    """
    columns = ["person", "fingerprint", "removed_at"]
    rows = database.erased.select(cursor, columns, {}) if erasures else []
    if erasures and not rows:
        raise Np6WriteRefusedError(
            f"table {database.erased.name} of connection {database.conn_id!r} is empty, although persons were"
            " erased",
            hint="Restore it from a backup, or let the role see its rows.",
        )
    if not rows:
        return None
    pending = frozenset(person for person, _, removed_at in rows if removed_at is None)
    return ErasureList(rows[0][1], frozenset(row[0] for row in rows), pending)


def to_series(requirements: PullRequirements) -> Series:
    """The series of a pull."""
    return requirements.query.event_type, requirements.query.classification


def _key(series: Series) -> dict[str, Any]:
    return dict(zip(("event_type", "classification"), series, strict=True))


def _where(series: Series) -> Condition:
    return {f"{name} =": value for name, value in _key(series).items()}


def _verified(database: Database, row: dict[str, Any]) -> VerifiedSize | None:
    values = [row[name] for name in ("verified_events", "verified_bytes", "verified_at")]
    if None in values:
        return None
    events, size, verified_at = values
    return VerifiedSize(ResponseSize(int(events), int(size)), database.ms(verified_at))
