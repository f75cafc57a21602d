"""How large a response may be before it might have been cut short.

NP6 documents no limit of a response, and no way to see one: a response that a server ends early, after a
number of events or bytes, is a well-formed array. So a response is believed only if it is small, or smaller
than one that checks have shown to be whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from airflow_provider_np6.np6.window import DAY

BELIEVED_EVENTS = 10
"""A response with fewer elements is believed without a check."""

_ROOM = 2
"""Events of the largest size that a response must have had room for."""

REMEMBERED = 30 * DAY
"""How long a verified size counts, in ms: servers are changed."""


@dataclass(frozen=True, slots=True)
class ResponseSize:
    """How much a response brought.

    :param events: elements received, with those that are dropped and those that are invalid.
    :param bytes: length of the decompressed JSON.
    :param largest_event: length of its largest element, in bytes; 0 where that does not matter.
    """

    events: int = 0
    bytes: int = 0
    largest_event: int = 0

    def is_below(self, other: ResponseSize) -> bool:
        """Whether it is so much smaller that no limit which ``other`` passed has cut it.

        A limit of bytes also leaves out the rest of the event that did not fit, so there must be room for
        that.

        :param other: what it is compared with.
        """
        room = _ROOM * self.largest_event
        return self.events < other.events and self.bytes + room < other.bytes

    def union(self, other: ResponseSize) -> ResponseSize:
        """The larger number of each.

        :param other: another size.
        """
        return ResponseSize(max(self.events, other.events), max(self.bytes, other.bytes))


NOTHING = ResponseSize()


@dataclass(frozen=True, slots=True)
class VerifiedSize:
    """The largest response of a series that checks have shown to be whole.

    :param size: of that response; its events and its bytes may come from two responses.
    :param verified_at: of the older of these, in ms since the epoch.
    """

    size: ResponseSize
    verified_at: int

    def is_current(self, now: int) -> bool:
        """Whether it still counts.

        :param now: ms since the epoch.
        """
        return abs(now - self.verified_at) < REMEMBERED

    def with_size(self, other: VerifiedSize) -> VerifiedSize:
        """What is known with another verified size.

        :param other: verified at any time.
        """
        for larger, smaller in ((other, self), (self, other)):
            if larger.size.events >= smaller.size.events and larger.size.bytes >= smaller.size.bytes:
                return larger
        return VerifiedSize(self.size.union(other.size), min(self.verified_at, other.verified_at))


@dataclass(frozen=True, slots=True)
class Sizes:
    """What one pull knows about the sizes of responses.

    :param now: ms since the epoch.
    :param verified: the largest response that was verified, by this pull or an earlier one; None if none was.
    :param largest: of the responses of this pull, verified or not.
    :param is_raised: whether this pull has verified a larger one than was known.
    """

    now: int
    verified: VerifiedSize | None = None
    largest: ResponseSize = NOTHING
    is_raised: bool = False

    @classmethod
    def of(cls, stored: VerifiedSize | None, now: int) -> Sizes:
        """What a pull knows at its beginning.

        :param stored: what earlier pulls have verified.
        :param now: ms since the epoch.
        """
        return cls(now, stored if stored is not None and stored.is_current(now) else None)

    @property
    def raised(self) -> VerifiedSize | None:
        """What later pulls should know; None if this pull has verified nothing larger."""
        return self.verified if self.is_raised else None

    def believes(self, size: ResponseSize) -> bool:
        """Whether a response of this size needs no check."""
        if size.events < BELIEVED_EVENTS:
            return True
        return self.verified is not None and size.is_below(self.verified.size)

    def with_received(self, size: ResponseSize) -> Sizes:
        """The same after a response."""
        return replace(self, largest=self.largest.union(size))

    def with_verified(self, size: ResponseSize) -> Sizes:
        """The same after checks have shown a response of this size to be whole."""
        if self.believes(size):
            return self
        new = VerifiedSize(size, self.now)
        return replace(
            self, verified=new if self.verified is None else self.verified.with_size(new), is_raised=True
        )
