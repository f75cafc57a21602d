"""The provider's metadata. Airflow reads it in every process: this module imports nothing heavy."""

from __future__ import annotations

from typing import Any

CONNECTION_TYPE = "np6"
DEFAULT_CONN_ID = "np6_default"


def _field(label: str, kind: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "schema": {"type": [kind, "null"], **schema}, "description": description}


CONN_FIELDS: dict[str, dict[str, Any]] = {
    "account": _field(
        "Account", "string", "Label recorded with all that is stored; by default the connection's id"
    ),
    "connect_timeout": _field("Connect timeout", "number", "Seconds to wait for a connection; by default 10"),
    "read_timeout": _field(
        "Read timeout", "number", "Seconds to wait between two bytes of a response; by default 120"
    ),
    "max_attempts": _field(
        "Max attempts", "integer", "Tries in a row without anything new before a pull fails; by default 8"
    ),
    "max_wait": _field(
        "Max wait", "number", "Longest wait, in seconds, that a worker sleeps through; by default 300"
    ),
    "max_event_bytes": _field(
        "Max event bytes", "integer", "Size beyond which one event is refused; by default 16777216 (16 MiB)"
    ),
    "ca_bundle": _field(
        "CA bundle", "string", "Path, on the workers, of a PEM file with the authorities to trust"
    ),
    "allow_http": _field(
        "Allow http", "boolean", "Send the API key by plain http to other machines too", default=False
    ),
    "pseudonym_key": _field(
        "Pseudonym key",
        "string",
        "Secret of 32 characters or more with which personal data is replaced. Whoever may read connections"
        " is shown it, unless [core] sensitive_var_conn_names holds pseudonym_key",
        format="password",
    ),
}

FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "login"],
    "relabeling": {"password": "API key (X-Key)"},
    "placeholders": {
        "host": "https://api-cm.np6.com",
        "password": "the API key of your NP6 user",
        "port": "443",
    },
}

ASSET_URIS = [
    {
        "schemes": ["np6"],
        "handler": "airflow_provider_np6.assets.sanitize_uri",
        "to_openlineage_converter": "airflow_provider_np6.assets.convert_asset_to_openlineage",
    }
]


def get_provider_info() -> dict[str, Any]:
    """What Airflow wants to know of the provider, in the shape of its ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-np6",
        "name": "NP6",
        "description": "Events of NP6 e-mail and SMS actions into files and SQL databases.",
        "integrations": [
            {
                "integration-name": "NP6",
                "external-doc-url": "https://backoffice.np6.com/documentation/",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": "NP6", "python-modules": ["airflow_provider_np6.hooks.np6"]}],
        "operators": [
            {
                "integration-name": "NP6",
                "python-modules": [
                    "airflow_provider_np6.operators.events",
                ],
            }
        ],
        "sensors": [{"integration-name": "NP6", "python-modules": ["airflow_provider_np6.sensors.events"]}],
        "triggers": [
            {"integration-name": "NP6", "python-modules": ["airflow_provider_np6.triggers.wait_until"]}
        ],
        "asset-uris": ASSET_URIS,
        "dataset-uris": ASSET_URIS,  # their name on Airflow 2
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": "airflow_provider_np6.hooks.np6.Np6Hook",
                "hook-name": "NP6",
                "ui-field-behaviour": FIELD_BEHAVIOUR,
                "conn-fields": CONN_FIELDS,
            }
        ],
    }
