"""Which window a run pulls.

A cron string gives runs an empty data interval on Airflow 3, some runs have no interval at all, and an
empty window pulled in silence looks like a quiet day. So the window is resolved here, at run time, and
every run without one fails and says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum

from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.window import Window, from_ms, parse_time, to_ms
from airflow_provider_np6.version_compat import get_timetable_setting

if TYPE_CHECKING:
    from airflow.timetables.base import DataInterval

_UNSET = (None, "", "None")
_LONGEST_GAP = 3
"""Hours: clocks are put forward by less, and the next change is weeks away."""
_HINT = (
    "Schedule the DAG with CronDataIntervalTimetable, or give the operator window_length=timedelta(…) for a"
    " cron string, or window_start and window_end (from params, for runs without a date)."
)


def resolve_window(
    context: Mapping[str, Any], start: object, end: object, window_length: timedelta | None
) -> Window:
    """The window of one run.

    In this order: ``start`` and ``end``; a partitioned run's partition, up to the next tick of the DAG's
    cron; the run's data interval; for an empty interval, ``window_length`` before the logical date.

    :param context: the task's context.
    :param start: start of the window; None, "" and "None" are unset.
    :param end: end of the window (exclusive); both bounds or neither.
    :param window_length: length of a window whose run has an empty interval; whole days are counted in the
        timetable's zone, so that a day with a clock change has 23 or 25 hours.
    :raises Np6InputError: if a bound cannot be used, or the run has no window.
    """
    if start not in _UNSET or end not in _UNSET:
        if start in _UNSET or end in _UNSET:
            raise Np6InputError(
                f"only {'window_end' if start in _UNSET else 'window_start'} is given",
                hint="Give window_start and window_end, or neither for the run's data interval.",
            )
        return Window(parse_time("window_start", start), parse_time("window_end", end))
    partition = context.get("partition_date")
    if partition is not None:
        return _partition(context["dag"], partition)
    logical_date = context.get("logical_date")
    interval_start, interval_end = context.get("data_interval_start"), context.get("data_interval_end")
    if interval_start is None or interval_end is None:
        raise Np6InputError(
            "this run has no data interval: it was started by an asset or without a logical date", hint=_HINT
        )
    if interval_start != interval_end:
        return Window(
            parse_time("the data interval's start", interval_start),
            parse_time("the data interval's end", interval_end),
        )
    if window_length is None or logical_date is None:
        raise Np6InputError(
            f"this run's data interval is empty, [{interval_start}, {interval_end}): its DAG is scheduled by"
            " a cron string or by hand",
            hint=_HINT,
        )
    return _length_before(context["dag"], logical_date, window_length)


def _length_before(dag: Any, logical_date: datetime, window_length: timedelta) -> Window:
    if not isinstance(window_length, timedelta) or window_length <= timedelta(0):
        raise Np6InputError(f"window_length is {window_length!r}", hint="Give a timedelta above zero.")
    # Manual runs carry the time of the click, to the microsecond.
    end = logical_date.replace(microsecond=logical_date.microsecond // 1_000 * 1_000)
    if window_length % timedelta(days=1):
        return Window(to_ms(end - window_length), to_ms(end))
    local = pendulum.instance(end).in_timezone(_timezone(dag))
    start = _moment(_meant(dag, local) - window_length, local.timezone)
    return Window(to_ms(start), to_ms(end))


def _meant(dag: Any, tick: pendulum.DateTime) -> datetime:
    """What the clock on the wall shows at ``tick``; where it was put forward over a time of the DAG's cron,
    which then ticks later, that time: days counted from the later one would leave a gap behind the window
    before.
    """
    shown = tick.replace(tzinfo=None)
    skipped = tick.subtract(hours=_LONGEST_GAP).replace(tzinfo=None) + timedelta(hours=_LONGEST_GAP)
    if _moment(skipped, tick.timezone).replace(tzinfo=None) == skipped:
        return shown  # it was not skipped
    crons = [
        cron
        for each in _ticking(dag.timetable)
        if (cron := get_timetable_setting(each, "expression")) is not None
    ]
    moment = pendulum.instance(skipped.replace(tzinfo=UTC))
    ticked = any(_interval_from(cron, pendulum.UTC, moment).start == moment for cron in crons)
    return skipped if ticked else shown


def _moment(wall: datetime, zone: Any) -> datetime:
    """When a clock shows ``wall``: where it does so twice, the later time; where it skips it, as much later.
    Airflow's crons tick then."""
    return zone.convert(wall.replace(fold=1))  # type: ignore[no-any-return]


def _partition(dag: Any, partition: datetime) -> Window:
    """From the partition's date to the next tick of the DAG's cron, in its zone."""
    cron = get_timetable_setting(_inner(dag.timetable), "expression")
    if cron is None:
        raise Np6InputError("this run has a partition, but its DAG has no cron to end it by", hint=_HINT)
    start = pendulum.instance(partition)
    return Window(to_ms(start), to_ms(_interval_from(cron, _timezone(dag), start).end))


def _interval_from(cron: str, zone: Any, moment: pendulum.DateTime) -> DataInterval:
    """From a cron's last tick, at or before a time, to its next one."""
    from airflow.timetables.base import DataInterval, TimeRestriction
    from airflow.timetables.interval import CronDataIntervalTimetable

    following = CronDataIntervalTimetable(cron, timezone=zone).next_dagrun_info(
        last_automated_data_interval=DataInterval(moment.subtract(seconds=1), moment),
        restriction=TimeRestriction(earliest=None, latest=None, catchup=True),
    )
    if following is None or following.data_interval is None:
        raise Np6InputError("the DAG's cron never ticks after this run's date", hint=_HINT)
    return following.data_interval


def _timezone(dag: Any) -> pendulum.Timezone | pendulum.FixedTimezone:
    """The zone that the DAG's timetable counts days in; a ``timedelta`` steps over all days alike."""
    timetable = _inner(dag.timetable)
    if get_timetable_setting(timetable, "delta") is not None:
        return pendulum.UTC
    zone = get_timetable_setting(timetable, "timezone") or dag.timezone
    if isinstance(zone, str):
        return pendulum.timezone(zone)
    return zone  # type: ignore[no-any-return]


def _inner(timetable: Any) -> Any:
    """The timetable that ticks, inside of those that wrap one or several of one zone."""
    return _ticking(timetable)[0]


def _ticking(timetable: Any) -> list[Any]:
    """All of them, where one wraps several."""
    while get_timetable_setting(timetable, "timezone") is None:
        several = get_timetable_setting(timetable, "timetables")
        if several:
            return [inner for each in several for inner in _ticking(each)]
        wrapped = get_timetable_setting(timetable, "timetable")
        if wrapped is None:
            break
        timetable = wrapped
    return [timetable]


def wait_until(window: Window, *, grace_period: timedelta, max_wait: float, now: int) -> int | None:
    """The time, in ms, from which the window may be pulled; None if that is now.

    :param grace_period: how long a window must have ended, for NP6 may publish events a little late.
    :param max_wait: how far ahead, in seconds, a window's end may lie.
    :param now: ms since the epoch.
    :raises Np6InputError: if the window ends further ahead.
    """
    if not isinstance(grace_period, timedelta) or grace_period < timedelta(0):
        raise Np6InputError(f"grace_period is {grace_period!r}", hint="Give a timedelta of zero or more.")
    if window.end > now + max_wait * 1_000:
        raise Np6InputError(
            f"the window {window} ends in the future",
            hint="Pull it once it has ended; a window still open would be stored as if it were whole.",
        )
    ready = window.end + grace_period // timedelta(milliseconds=1)
    return ready if now < ready else None


def describe(time: int) -> str:
    """A time, in ms, for the log."""
    return from_ms(time).strftime("%H:%M:%S UTC")
