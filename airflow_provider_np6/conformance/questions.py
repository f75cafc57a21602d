"""The questions, and what this provider assumes and does about each.

What is documented, inferred or unknown was read in NP6's public documentation of version 8.1.0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_np6.conformance import answers, paths, windows

if TYPE_CHECKING:
    from airflow_provider_np6.conformance.examination import Examination
    from airflow_provider_np6.conformance.verdict import Verdict
    from airflow_provider_np6.np6.event_types import Mark


@dataclass(frozen=True)
class Question:
    """One thing that NP6's documentation leaves open, or that everything rests on.

    :param asks: the question, in a few words.
    :param mark: what is known of the answer.
    :param assumed: what this provider assumes.
    :param otherwise: what happens if it is otherwise.
    :param ask: puts the question to an account.
    """

    asks: str
    mark: Mark
    assumed: str
    otherwise: str
    ask: Callable[[Examination], Verdict]


QUESTIONS = (
    Question(
        "event types of one action",
        "inferred",
        "those that the catalogue lists",
        "A type that is not there fails at once and says so; others have no part in it.",
        paths.types_of_an_action,
    ),
    Question(
        "event types of all actions",
        "inferred",
        "the same below `/actions/events/`",
        'The same, for `action_id="*"`.',
        paths.types_of_all_actions,
    ),
    Question(
        "`id` and `timestamp`",
        "documented",
        "a uuid, and ms since the epoch",
        "Any text of up to 64 characters is taken as an id. Whatever lacks one, or lies outside of what was"
        " asked for, fails the pull, or is set aside.",
        paths.envelope_is_as_documented,
    ),
    Question(
        "`start`",
        "documented",
        "an event at `start` is inside of the window",
        "Events on the edge of two windows would be lost; nothing else could show it.",
        windows.start_is_inside,
    ),
    Question(
        "`end`",
        "documented",
        "an event at `end` is outside",
        "It is taken for an invalid event, and the pull fails, or sets it aside.",
        windows.end_is_outside,
    ),
    Question(
        "`sort=asc`",
        "documented",
        "events come in order of time",
        "Order is verified; without it the pull starts afresh and holds all ids, up to 2 million.",
        windows.sort_is_honoured,
    ),
    Question(
        "order among equal times",
        "unknown",
        "none",
        "Ids are compared within equal times, at a seam within the second.",
        windows.ties_are_stable,
    ),
    Question(
        "order without `sort`",
        "documented",
        "none",
        "Pulls always sort.",
        windows.unsorted_is_stable,
    ),
    Question(
        "fractions of a second in bounds",
        "unknown",
        "they may be refused",
        "Bounds go out in whole seconds, rounded outward; what lies in the rounding is dropped.",
        windows.fractions_are_honoured,
    ),
    Question(
        "bounds in ms since the epoch",
        "inferred",
        "they may be refused",
        "Bounds go out as ISO date-times, the form that is documented.",
        windows.epochs_are_honoured,
    ),
    Question(
        "a cap on events",
        "unknown",
        "none, or one that is a multiple of 100",
        "After a round number of events one more request looks for others, and the pull goes on from there. A"
        " cap that is not round would be missed.",
        windows.nothing_is_capped,
    ),
    Question(
        "no bounds at all",
        "unknown",
        "nothing",
        "Both bounds are always sent.",
        windows.bounds_may_be_missing,
    ),
    Question(
        "`type` in events",
        "inferred",
        "it may be missing where a path has one type",
        "`payload_type` is NULL then; `event_type` is the path as it was asked for.",
        paths.type_is_told,
    ),
    Question(
        "other fields",
        "unknown",
        "there may be some at any time",
        "The payload keeps them, whatever they are.",
        paths.fields_are_known,
    ),
    Question(
        "`classification`",
        "inferred",
        "with it only hits of the named robots come, without it only those of people",
        "Each classification is a dataset of its own, so that nothing is lost; the same hit may be in two.",
        paths.classification_tells_robots_apart,
    ),
    Question(
        "`classifications`",
        "unknown",
        "the parameter is spelled without the last s",
        "Were this the only spelling, `classification` would be ignored, which the question before it shows.",
        paths.other_spelling_is_taken,
    ),
    Question(
        "an action that does not exist",
        "documented",
        "404",
        "With an empty answer instead, a mistyped id would look like an action without events.",
        paths.unknown_action_is_refused,
    ),
    Question(
        "a bound that is none",
        "inferred",
        "a status of 400 to 499, whatever the body",
        "Bodies of errors are not read; status and `x-request-id` are told.",
        answers.bad_bound_is_refused,
    ),
    Question(
        "`GET /actions`",
        "documented",
        "there, though marked deprecated",
        'Give ids by hand, or `action_id="*"`.',
        paths.listing_is_there,
    ),
    Question(
        "statistics of an action",
        "inferred",
        "there in some accounts",
        "Reconciliation then compares with a fresh count alone.",
        paths.statistics_are_there,
    ),
    Question(
        "`Date`",
        "unknown",
        "the server's clock, where it comes",
        "Without it the worker's clock alone tells that a window is over: keep it by NTP.",
        answers.date_comes,
    ),
    Question(
        "compression",
        "unknown",
        "gzip, or none",
        "Both are read; any other is an error.",
        answers.gzip_is_honoured,
    ),
    Question(
        "framing",
        "unknown",
        "any; the closing bracket is the proof",
        "An answer that ends before its bracket is gone on with from its last second.",
        answers.framing_is_told,
    ),
    Question(
        "`x-request-id`",
        "inferred",
        "it may come",
        "Errors name it where it does.",
        answers.request_id_comes,
    ),
    Question(
        "unit of `X-RateLimit-Reset`",
        "unknown",
        "seconds from now, or seconds or ms since the epoch, told apart by size",
        "What cannot be read means exponential backoff.",
        answers.reset_has_a_unit,
    ),
    Question(
        "`Retry-After`",
        "unknown",
        "it may come, from a proxy too",
        "Without it Reset is looked at, then exponential backoff begins.",
        answers.retry_after_comes,
    ),
)
"""In the order in which they are asked."""
