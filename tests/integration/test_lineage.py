"""What lineage tools are told of pulls."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_np6 import lineage
from airflow_provider_np6.assets import sanitize_uri
from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.destinations.schema import COLUMNS
from airflow_provider_np6.np6.errors import Np6ResponseError
from airflow_provider_np6.operators.events import Np6EventsOperator
from airflow_provider_np6.sandbox import Fault, Sandbox
from tests.support.airflow_runs import AIRFLOW_3_2
from tests.support.files import slices
from tests.support.run import KEY

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("airflow_db", "np6_connection")]

DAYS = {"window_start": "2024-10-04", "window_end": "2024-10-06"}


def pull(destination: str | Destination, **differing: Any) -> Np6EventsOperator:
    given = {"event_type": "bounces", "action_id": "000PE4", **DAYS, **differing}
    return Np6EventsOperator(task_id="pull", destination=destination, **given)


def host(sandbox: Sandbox) -> str:
    return sandbox.url.removeprefix("http://")


class TestOpenLineage:
    """By the provider's own classes."""

    @pytest.fixture(autouse=True)
    def _provider(self) -> None:
        pytest.importorskip(
            "airflow.providers.openlineage", reason="the OpenLineage provider is not installed"
        )

    def names(self, told: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        inputs, outputs = (
            [(one.namespace, one.name) for one in side] for side in (told.inputs, told.outputs)
        )
        return inputs, outputs

    def test_on_start_it_says_where(self, sandbox: Sandbox, tmp_path: Path) -> None:
        told: Any = pull(f"{tmp_path}/").get_openlineage_facets_on_start()
        read = (f"np6://{host(sandbox)}", "actions/000PE4/events/bounces")
        assert self.names(told) == ([read], [("file", str(tmp_path))])
        (output,) = told.outputs
        assert [(field.name, field.type) for field in output.facets["schema"].fields] == list(
            lineage.ENVELOPE
        )
        assert not output.outputFacets
        assert sandbox.received == []

    def test_all_actions_are_one_input(self, sandbox: Sandbox, tmp_path: Path) -> None:
        told = pull(
            str(tmp_path), action_id="*", event_type="responses/stop"
        ).get_openlineage_facets_on_start()
        assert self.names(told)[0] == [(f"np6://{host(sandbox)}", "actions/events/responses/stop")]

    @pytest.mark.parametrize("format_", ["jsonl", "parquet"])
    def test_on_completion_it_says_how_much(self, sandbox: Sandbox, tmp_path: Path, format_: str) -> None:
        done = pull(FileDestination(str(tmp_path), format_))
        report = done.execute({})
        told: Any = done.get_openlineage_facets_on_complete(None)
        (output,) = told.outputs
        statistics = output.outputFacets["outputStatistics"]
        stored = [path.stat().st_size for path in tmp_path.rglob(f"*.{format_}")]
        assert len(stored) == 2
        assert (statistics.rowCount, statistics.size) == (report["events"], sum(stored))
        if format_ == "parquet":
            import pyarrow.parquet as pq

            fields = [field.name for field in output.facets["schema"].fields]
            assert fields == pq.read_schema(next(tmp_path.rglob("*.parquet"))).names
        assert KEY not in repr(told)
        assert "@" not in repr(told)

    def test_on_failure_it_says_where_and_not_how_much(self, sandbox: Sandbox, tmp_path: Path) -> None:
        sandbox.plan.add(Fault(body=b'{"error": "someone@example.com"}', framing="length"))
        failed = pull(str(tmp_path))
        with pytest.raises(Np6ResponseError):
            failed.execute({})
        told: Any = failed.get_openlineage_facets_on_failure(None)
        assert self.names(told) == self.names(failed.get_openlineage_facets_on_start())
        assert not told.outputs[0].outputFacets
        assert "someone" not in repr(told)

    def test_a_table_is_named_as_its_hook_names_it(
        self, sandbox: Sandbox, sql: SqlDestination, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.providers.common.compat.sdk import BaseHook

        done = pull(sql)
        report = done.execute({})
        told: Any = done.get_openlineage_facets_on_complete(None)
        connection = BaseHook.get_connection("test_sql")
        server = f"{connection.host}:{connection.port}"
        named = {
            "postgres": (f"postgres://{server}", f"{connection.schema}.public.np6_events"),
            "mysql": (f"mysql://{server}", f"{connection.schema}.np6_events"),
        }
        expected = [named[connection.conn_type]] if connection.conn_type in named else []
        assert self.names(told)[1] == expected
        for output in told.outputs:
            assert output.outputFacets["outputStatistics"].rowCount == report["events"]
            assert [field.name for field in output.facets["schema"].fields] == [one.name for one in COLUMNS]
        if connection.password:
            assert connection.password not in repr(told)

    @pytest.mark.parametrize(
        "wrong", [{"action_id": "None"}, {"event_type": "clicks"}, {"np6_conn_id": "nowhere"}]
    )
    def test_what_names_nothing_has_none(self, tmp_path: Path, wrong: dict[str, str]) -> None:
        assert pull(str(tmp_path), **wrong).get_openlineage_facets_on_start() is None

    def test_an_asset_of_the_scheme_has_the_same_name(self, sandbox: Sandbox, tmp_path: Path) -> None:
        from airflow.providers.common.compat.openlineage.utils.utils import translate_airflow_asset

        asset = Asset(uri=f"np6://{host(sandbox)}/actions/000PE4/events/bounces")
        told: Any = translate_airflow_asset(asset, None)
        of_the_operator: Any = pull(str(tmp_path)).get_openlineage_facets_on_start()
        (read,) = of_the_operator.inputs
        assert (told.namespace, told.name) == (read.namespace, read.name)


def test_without_the_provider_it_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.extractors", None)
    done = pull(str(tmp_path))
    done.execute({})
    caplog.clear()
    assert done.get_openlineage_facets_on_start() is None
    assert done.get_openlineage_facets_on_complete(None) is None
    assert done.get_openlineage_facets_on_failure(None) is None
    assert caplog.records == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("s3://aws_default@lake/np6/", ("s3://lake", "np6")),
        ("gs://lake", ("gs://lake", "/")),
        ("file:///data/np6", ("file", "/data/np6")),
    ],
)
def test_files_are_one_data_set_named_after_the_root(path: str, expected: tuple[str, str]) -> None:
    named = lineage.sink(FileDestination(path))
    assert named is not None
    assert (named.namespace, named.name) == expected


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Airflow's collector, as it is where a plugin reads it."""
    module = import_module("airflow.sdk.lineage" if AIRFLOW_3_2 else "airflow.lineage.hook")
    made = module.HookLineageCollector()
    if AIRFLOW_3_2:
        monkeypatch.setattr("airflow.sdk.lineage.get_hook_lineage_collector", lambda: made)
    else:
        monkeypatch.setattr("airflow.lineage.hook._hook_lineage_collector", made)
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    return get_hook_lineage_collector()


def collected(collector: Any) -> tuple[dict[str, int], dict[str, int]]:
    """URIs and how often each was told: inputs, outputs."""
    found = collector.collected_assets
    inputs, outputs = ({one.asset.uri: one.count for one in side} for side in (found.inputs, found.outputs))
    return inputs, outputs


@pytest.mark.parametrize("kind", ["disk", "s3"])
def test_each_published_file_is_told_once(
    collector: Any, sandbox: Sandbox, tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    root = str(tmp_path) if kind == "disk" else f"{request.getfixturevalue('s3')}/{tmp_path.name}"
    pull(FileDestination(root, "jsonl")).execute({})
    inputs, outputs = collected(collector)
    assert inputs == {f"np6://{host(sandbox)}/actions/000PE4/events/bounces": 1}
    below = f"file://{tmp_path}" if kind == "disk" else f"s3://lake/{tmp_path.name}"
    files = [slice_.data for slice_ in slices(root, "bounces", "000PE4", *DAYS.values())]
    assert [str(name).rpartition("/")[0] for name in files] == [
        f"type=bounces/action=000PE4/date={date}" for date in ("2024-10-04", "2024-10-05")
    ]
    assert outputs == {f"{below}/{name}": 1 for name in files}


def test_what_did_not_change_is_not_named_again(collector: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    pull(str(tmp_path), window_end="2024-10-05").execute({})
    pull(str(tmp_path)).execute({})
    inputs, outputs = collected(collector)
    assert len(inputs) == 1
    assert list(outputs.values()) == [1, 1]


def test_a_table_is_told_once(collector: Any, sandbox: Sandbox, sql: SqlDestination) -> None:
    pull(sql).execute({})
    uri = sql.asset_uri
    assert collected(collector)[1] == ({uri: 1} if uri else {})


def test_what_was_not_published_is_not_told(collector: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.plan.add(Fault(body=b"{}", framing="length"))
    with pytest.raises(Np6ResponseError):
        pull(str(tmp_path)).execute({})
    assert collected(collector) == ({}, {})


def test_a_collector_that_fails_costs_no_pull(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ValueError("too long")

    monkeypatch.setattr("airflow.providers.common.compat.lineage.hook.get_hook_lineage_collector", broken)
    assert pull(str(tmp_path)).execute({})["events"] > 0


def test_where_no_one_listens_nothing_is_kept(sandbox: Sandbox, tmp_path: Path) -> None:
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    pull(str(tmp_path)).execute({})
    assert collected(get_hook_lineage_collector()) == ({}, {})


def test_np6_is_a_scheme_of_assets() -> None:
    uri = "np6://api-cm.np6.com/actions/000PE4/events/bounces"
    assert Asset(uri=uri).uri == uri
    with pytest.raises(ValueError, match="host and the path"):
        sanitize_uri(urlsplit("np6://api-cm.np6.com/"))


ASSETS = [
    (FileDestination("s3://aws_default@lake/np6"), "s3://lake/np6"),
    (FileDestination("s3://lake/np6/", conn_id="aws_default"), "s3://lake/np6"),
    (FileDestination("gs://lake"), "gs://lake"),
    (FileDestination("/data/np6/"), "file:///data/np6"),
    (FileDestination("file:///data/np6"), "file:///data/np6"),
]


@pytest.mark.parametrize(("destination", "uri"), ASSETS, ids=[uri for _, uri in ASSETS])
def test_an_assets_uri_names_no_connection(destination: FileDestination, uri: str) -> None:
    assert destination.asset_uri == uri
    if destination.path != "gs://lake":  # without a slash, as Airflow adds it
        assert Asset(uri).uri == uri


TABLES = [
    ({"conn_type": "postgres", "port": 5433}, "postgres://db:5433/crm/default/np6_events", None),
    ({"conn_type": "postgres"}, "postgres://db:5432/crm/marketing/np6_events", "marketing"),
    ({"conn_type": "mysql"}, "mysql://db:3306/crm/np6_events", None),
    ({"conn_type": "mysql"}, "mysql://db:3306/other/np6_events", "other"),
    ({"conn_type": "sqlite"}, None, None),
]


@pytest.mark.parametrize(("connection", "uri", "schema"), TABLES)
def test_a_tables_asset_is_as_airflow_has_it(
    connection: dict[str, Any], uri: str | None, schema: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = {"host": "db", "schema": "crm", "login": "me", "password": "secret", **connection}
    monkeypatch.setenv("AIRFLOW_CONN_CRM", json.dumps(full))
    assert SqlDestination("crm", schema=schema).asset_uri == uri
    if uri is not None:
        assert Asset(uri).uri == uri
