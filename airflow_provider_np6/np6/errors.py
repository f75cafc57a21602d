"""All errors that the provider raises on purpose.

::

    Np6Error
    ├── Np6InputError            an argument, connection or window that cannot work; no request was sent
    ├── Np6RefusedError          NP6 refused, and would refuse again: 400, other 4xx, a foreign redirect
    │   ├── Np6AuthenticationError   401
    │   ├── Np6PermissionError       403
    │   └── Np6NotFoundError         404, 410
    ├── Np6TransientError        may pass: retried inside the task, then by Airflow
    │   ├── Np6RateLimitError        429
    │   ├── Np6ServerError           5xx
    │   ├── Np6ConnectionError       no response: unknown host, refused, TLS, proxy
    │   │   └── Np6TimeoutError          no byte within the timeout
    │   ├── Np6TruncatedError        a response that broke off before its closing bracket
    │   └── Np6WindowOpenError       by NP6's clock the window is still open, or its events change
    ├── Np6ResponseError         a whole response that is not a list of events of this window
    └── Np6DestinationError      the destination could not take the events
        ├── Np6ConflictError         stored data must not be replaced by this pull, or has a later format
        ├── Np6PullAgainError        what is stored changed during the pull, or is more than the pull brought
        ├── Np6ShrunkError           NP6 has fewer events of a day than are stored
        └── Np6WriteRefusedError     the destination refuses the events, and would again

Catch :class:`Np6Error` for all of them. ``retryable`` says whether another try can help: the operator
turns errors that are not retryable into ``AirflowFailException``, and leaves the others to Airflow's retries.
No message contains the API key, an address or an event.
"""

from __future__ import annotations

from typing import Any, ClassVar


class Np6Error(Exception):
    """Base class of all errors of this provider.

    :param what: what happened, as one clause without a full stop.
    :param hint: what to do about it, as one or more sentences.
    :param context: action, event type and window, as in :attr:`EventQuery.description`.
    :param status: the HTTP status of the response, if there was one.
    :param request_id: the response's ``x-request-id``, which NP6's support needs (undocumented).
    """

    retryable: ClassVar[bool] = True

    def __init__(
        self,
        what: str,
        *,
        hint: str = "",
        context: str = "",
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        self.what = what
        self.hint = hint
        self.context = context
        self.status = status
        self.request_id = request_id
        super().__init__(what)

    def at(self, context: str) -> Np6Error:
        """Add where it happened, unless that is known already; returns itself, to be raised.

        :param context: action, event type and window, or another place.
        """
        self.context = self.context or context
        return self

    def __str__(self) -> str:
        facts = [
            self.context,
            f"HTTP status {self.status}" if self.status else "",
            f"x-request-id {self.request_id}" if self.request_id else "",
        ]
        place = "; ".join(fact for fact in facts if fact)
        return f"{self.what}{f' ({place})' if place else ''}.{f' {self.hint}' if self.hint else ''}"


class Np6InputError(Np6Error, ValueError):
    """An argument, a connection's field or a window that cannot work; no request was sent."""

    retryable = False


class Np6RefusedError(Np6Error):
    """NP6 refused the request and would refuse it again."""

    retryable = False


class Np6AuthenticationError(Np6RefusedError):
    """401: the API key is missing, wrong or revoked."""


class Np6PermissionError(Np6RefusedError):
    """403: the key's user may not read this."""


class Np6NotFoundError(Np6RefusedError):
    """404 or 410: no such action, event type or endpoint for this account."""


class Np6TransientError(Np6Error):
    """A failure that may pass.

    :param what: what happened, as one clause without a full stop.
    :param delay: seconds to wait, if the response says so.
    :param facts: the other arguments of :class:`Np6Error`.
    """

    def __init__(self, what: str, *, delay: float | None = None, **facts: object) -> None:
        super().__init__(what, **facts)  # type: ignore[arg-type]
        self.delay = delay


class Np6RateLimitError(Np6TransientError):
    """429: too many requests for this account."""


class Np6ServerError(Np6TransientError):
    """5xx: NP6 failed."""


class Np6ConnectionError(Np6TransientError):
    """No response came: unknown host, connection refused, TLS, proxy."""


class Np6TimeoutError(Np6ConnectionError):
    """Nothing came within the timeout."""


class Np6TruncatedError(Np6TransientError):
    """The response broke off before its end."""


class Np6WindowOpenError(Np6TransientError):
    """By the response's ``Date``, the window is still open or has just ended; or events of one response
    are missing in the next."""


class Np6ResponseError(Np6Error):
    """The response is whole, but is not a list of events of the requested window."""


class Np6DestinationError(Np6Error):
    """The destination could not take the events. Each day keeps its events, or has all of a new pull."""


class Np6ConflictError(Np6DestinationError):
    """Stored data must not be replaced by this pull, or has a later version's format."""

    retryable = False


class Np6PullAgainError(Np6DestinationError):
    """The window must be pulled again before it can be published; the operator does so, a few times.

    :param what: what happened, as one clause without a full stop.
    :param is_short: whether a day has fewer events than are stored: then the next pull must agree.
    :param facts: the other arguments of :class:`Np6Error`.
    """

    def __init__(self, what: str, *, is_short: bool = False, **facts: Any) -> None:
        super().__init__(what, **facts)
        self.is_short = is_short


class Np6ShrunkError(Np6DestinationError):
    """NP6 has fewer events of a day than are stored, and said so twice; ``on_shrink`` is "fail".

    Nothing of the window was published. It is retryable: if NP6's response was wrong, a later one is right.
    """


class Np6WriteRefusedError(Np6DestinationError):
    """The destination refuses the events and would refuse them again: a missing right, a trigger that drops
    rows, a character that the database's encoding lacks."""

    retryable = False


def check_version(what: str, stored: int, known: int) -> None:
    """Refuse to read or replace data of a later format, which may mean something else than it seems.

    :param what: what an error calls the data.
    :param stored: version of the format, as it is recorded with the data.
    :param known: the highest version that this version of the provider reads.
    :raises Np6ConflictError: if ``stored`` is higher.
    """
    if stored > known:
        raise Np6ConflictError(
            f"{what} is of format {stored}, and this version of the provider knows none beyond {known}",
            hint="A later airflow-provider-np6 wrote it: install that one here too.",
        )
