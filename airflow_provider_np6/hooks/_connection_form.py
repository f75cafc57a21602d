"""The connection's form on Airflow up to 3.1, which wants widgets of its own web framework."""

from __future__ import annotations

from typing import Any

from airflow_provider_np6.provider_info import CONN_FIELDS


def widgets() -> dict[str, Any]:
    """A field for each extra of :data:`CONN_FIELDS`."""
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
    from wtforms import BooleanField, PasswordField, StringField
    from wtforms.validators import Optional

    found: dict[str, Any] = {}
    for name, field in CONN_FIELDS.items():
        label, description, schema = field["label"], field["description"], field["schema"]
        if "boolean" in schema["type"]:
            found[name] = BooleanField(label, default=schema["default"], description=description)
            continue
        secret = schema.get("format") == "password"
        found[name] = (PasswordField if secret else StringField)(
            label,
            widget=(BS3PasswordFieldWidget if secret else BS3TextFieldWidget)(),
            description=description,
            validators=[Optional()],
        )
    return found
