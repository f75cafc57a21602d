"""Requests whose answers are looked at, whatever they are: few, and read no further than needed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider_np6.np6.client import Np6Client, chunks
from airflow_provider_np6.np6.errors import Np6TransientError
from airflow_provider_np6.np6.http_errors import refusal
from airflow_provider_np6.np6.rate_limit import server_date
from airflow_provider_np6.np6.retry import Attempts
from airflow_provider_np6.np6.window import Window, iso_seconds

MOST_REQUESTS = 80
"""Requests of one examination, tries again included."""

FIRST_BYTES = 64 * 1024
"""Bytes that tell whether there are events, and show a few."""

WHOLE = 4 * 1024 * 1024
"""Bytes beyond which an answer is not read to its end."""


SORTED = {"sort": "asc"}
"""The order in which pulls ask."""


class SpentError(Exception):
    """All requests of an examination are used up."""


@dataclass(frozen=True)
class Seen:
    """One answer.

    :param status: HTTP status.
    :param headers: its headers, whose names have no case.
    :param body: what was read of it, unpacked.
    :param whole: whether that is all.
    :param skew: by how many ms its ``Date`` is ahead of this machine's clock; None without one.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool
    skew: int | None = None

    @property
    def events(self) -> list[dict[str, Any]]:
        """The whole objects among what was read of an array; none of anything else."""
        if self.status != 200:
            return []
        if self.whole:
            try:
                found = msgspec.json.decode(self.body)
            except msgspec.DecodeError:
                return []
            return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
        return _leading_objects(self.body.decode(errors="replace"))


def _leading_objects(text: str) -> list[dict[str, Any]]:
    found = []
    decode = json.JSONDecoder().raw_decode
    at = text.find("[") + 1
    try:
        while at:
            at += len(text[at:]) - len(text[at:].lstrip())
            item, at = decode(text, at)
            if isinstance(item, dict):
                found.append(item)
            at = text.find(",", at) + 1
    except ValueError:  # the one that is not whole
        pass
    return found


class Asker:
    """Asks within the rate limit and within :data:`MOST_REQUESTS`.

    :param client: to the account in question.
    """

    def __init__(self, client: Np6Client) -> None:
        self._client = client
        self._left = MOST_REQUESTS
        self.seen: list[Seen] = []
        """Every answer so far, without its body."""

    def ask(
        self, path: str, parameters: Mapping[str, str] | None = None, *, up_to: int = FIRST_BYTES
    ) -> Seen:
        """One answer, of which at most about ``up_to`` bytes are read.

        :raises SpentError: if no request is left.
        :raises Np6Error: if no answer comes, or an answer breaks off, again and again.
        """
        attempts = Attempts(self._client.config)
        while True:
            if not self._left:
                raise SpentError
            self._left -= 1
            try:
                return self._once(path, parameters, up_to)
            except Np6TransientError as error:
                attempts.wait_or_raise(error.at(path))

    def events(
        self, path: str, window: Window, parameters: Mapping[str, str] | None = None, *, up_to: int = WHOLE
    ) -> Seen:
        """The answer for a window of whole seconds, asked for as a pull does."""
        bounds = {"start": iso_seconds(window.start), "end": iso_seconds(window.end)}
        return self.ask(path, {**bounds, **(parameters or {})}, up_to=up_to)

    def _once(self, path: str, parameters: Mapping[str, str] | None, up_to: int) -> Seen:
        with self._client.get(path, parameters) as response:
            status, headers, date = response.status_code, response.headers, server_date(response.headers)
            skew = None if date is None else date - round(time.time() * 1_000)
            self.seen.append(Seen(status, headers, b"", whole=False, skew=skew))
            if status in (401, 429, 503):
                raise refusal(response)
            body, whole = bytearray(), True
            for piece in chunks(response):
                body += piece
                if len(body) >= up_to:
                    whole = False
                    break
            return Seen(status, headers, bytes(body), whole, skew)
