"""What a pull does with personal data, checked before its first request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.privacy.detect import parse_domain
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    from airflow_provider_np6.np6.config import Np6Config

MODES = ("keep", "pseudonymize", "pseudonymize+domain", "drop")

DROPPED = "[dropped]"
"""Replaces personal data in a string under ``drop``."""

MIN_KEY_LENGTH = 32
"""Characters of a key, at least: who guesses the key can compute the token of any address."""


@dataclass(frozen=True)
class Policy:
    """How personal data is replaced.

    :param recorded: mode and key as destinations record them: ``pseudonymize:<fingerprint>``, ``drop``.
    :param replacements: returns the replacement of each of several values.
    :param removes_subject: whether the members that identify an event's subject are removed instead.
    """

    recorded: str
    replacements: Callable[[Sequence[str]], list[str]]
    removes_subject: bool = False

    def replacement(self, value: str) -> str:
        """The replacement of one value.

        :param value: personal data, decoded.
        """
        return self.replacements([value])[0]


def check_mode(mode: object) -> None:
    """Check ``personal_data`` of an operator.

    :param mode: its value.
    :raises Np6InputError: for an unknown mode.
    """
    if mode not in MODES:
        raise Np6InputError(f"personal_data is {mode!r}", hint=f"Use one of {', '.join(MODES)}.")


def resolve_policy(mode: object, config: Np6Config, conn_id: str) -> Policy | None:
    """The policy that ``personal_data`` names; None for ``keep``.

    :param mode: the value of ``personal_data``.
    :param config: of the connection whose key makes the tokens.
    :param conn_id: the connection's id, for errors.
    :raises Np6InputError: for an unknown mode, or if the connection's extra ``pseudonym_key`` is missing or
        too short.
    """
    check_mode(mode)
    if mode == "keep":
        return None
    if mode == "drop":
        return Policy("drop", lambda values: [DROPPED] * len(values), removes_subject=True)
    pseudonyms = get_pseudonyms(config, conn_id, f"personal_data is {mode!r}")
    recorded = f"{mode}:{pseudonyms.fingerprint}"
    if mode == "pseudonymize":
        return Policy(recorded, pseudonyms.tokens)

    def tokens_with_domains(values: Sequence[str]) -> list[str]:
        domains = map(parse_domain, values)
        return [
            f"{token}@{domain}" if domain else token
            for token, domain in zip(pseudonyms.tokens(values), domains, strict=True)
        ]

    return Policy(recorded, tokens_with_domains)


def get_pseudonyms(config: Np6Config, conn_id: str, reason: str) -> Pseudonyms:
    """The pseudonyms of a connection's key.

    :param config: of the connection.
    :param conn_id: the connection's id, for errors.
    :param reason: why they are needed; errors begin with it.
    :raises Np6InputError: if the connection's extra ``pseudonym_key`` is missing or too short.
    """
    key = config.pseudonym_key
    if key is None or len(key) < MIN_KEY_LENGTH:
        problem = "is not set" if key is None else f"has fewer than {MIN_KEY_LENGTH} characters"
        raise Np6InputError(
            f"{reason}, and the extra 'pseudonym_key' of connection {conn_id!r} {problem}",
            hint="Set it to a random secret, such as the output of: openssl rand -hex 32",
        )
    return Pseudonyms(key)
