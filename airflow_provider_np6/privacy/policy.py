"""What a pull does with personal data, checked before its first request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.privacy.detect import domain_of
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    from airflow_provider_np6.np6.config import Np6Config

MODES = ("keep", "pseudonymize", "pseudonymize+domain", "drop")

DROPPED = "[dropped]"
"""What stands where personal data was dropped from a text."""

MIN_KEY = 32
"""Characters of a key at least: whoever guesses it can look for the token of any address."""


@dataclass(frozen=True)
class Policy:
    """How personal data is replaced.

    :param recorded: mode and key as destinations record them: ``pseudonymize:<fingerprint>``, ``drop``.
    :param replacements: what stands for each of some texts that are personal data.
    :param domains: whether it ends in the domain, for an address.
    :param removes: whether the members with the event's own identity go altogether.
    """

    recorded: str
    replacements: Callable[[Sequence[str]], list[str]]
    domains: bool = False
    removes: bool = False

    def replacement(self, text: str) -> str:
        """What stands for a text that is personal data."""
        return self.replacements([text])[0]


def check_mode(mode: object) -> None:
    """:raises Np6InputError: for an unknown mode."""
    if mode not in MODES:
        raise Np6InputError(f"personal_data is {mode!r}", hint=f"Known are {', '.join(MODES)}.")


def resolve_policy(mode: object, config: Np6Config, conn_id: str) -> Policy | None:
    """The policy that ``personal_data`` names; None for ``keep``.

    :raises Np6InputError: for an unknown mode, or where the connection's extra ``pseudonym_key`` is missing
        or too short.
    """
    check_mode(mode)
    if mode == "keep":
        return None
    if mode == "drop":
        return Policy("drop", lambda texts: [DROPPED] * len(texts), removes=True)
    pseudonyms = get_pseudonyms(config, conn_id, f"personal_data is {mode!r}")
    recorded = f"{mode}:{pseudonyms.fingerprint}"
    if mode == "pseudonymize":
        return Policy(recorded, pseudonyms.tokens)

    def with_domains(texts: Sequence[str]) -> list[str]:
        domains = map(domain_of, texts)
        return [
            f"{token}@{domain}" if domain else token
            for token, domain in zip(pseudonyms.tokens(texts), domains, strict=True)
        ]

    return Policy(recorded, with_domains, domains=True)


def get_pseudonyms(config: Np6Config, conn_id: str, why: str) -> Pseudonyms:
    """The pseudonyms of a connection's key.

    :param why: what they are needed for, as the beginning of an error.
    :raises Np6InputError: if its extra ``pseudonym_key`` is missing or too short.
    """
    key = config.pseudonym_key
    if key is None or len(key) < MIN_KEY:
        what = "is not set" if key is None else f"has fewer than {MIN_KEY} characters"
        raise Np6InputError(
            f"{why}, and the extra 'pseudonym_key' of connection {conn_id!r} {what}",
            hint="Set it to a secret made at random, such as the output of: openssl rand -hex 32",
        )
    return Pseudonyms(key)
