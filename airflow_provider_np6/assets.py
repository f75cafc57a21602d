"""NP6's events as an Airflow asset, ``np6://api-cm.np6.com/actions/000PE4/events/bounces``.

Named in the provider's metadata, for inlets and for lineage; loaded wherever an asset is made, so light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Asset

SCHEME = "np6"


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """``uri`` as it is.

    :raises ValueError: if it lacks a host or a path.
    """
    if not uri.netloc or uri.path in ("", "/"):
        raise ValueError("URI format np6:// must contain a host and the path of events below it")
    return uri


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Any:  # noqa: ARG001 - Airflow's call
    """The asset as OpenLineage's data set of the same name as in the operator's own lineage."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    url = urlsplit(asset.uri)
    return Dataset(namespace=f"{SCHEME}://{url.netloc}", name=url.path.strip("/"))
