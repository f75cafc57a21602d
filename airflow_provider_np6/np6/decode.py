"""Decodes JSON that is valid, but that no single parser takes whole.

JSON limits neither the size of a number nor the depth of nesting, and it allows lone surrogates. Strings get
U+FFFD in place of a lone surrogate; numbers that neither Python's ``int`` nor its ``float`` takes become
:class:`decimal.Decimal`. Whether NP6 sends such values is unknown.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import msgspec

from airflow_provider_np6.np6.errors import Np6ResponseError
from airflow_provider_np6.np6.lone_surrogates import replace_lone_surrogates

_decode = msgspec.json.Decoder().decode


def decode_event(item: bytes | msgspec.Raw) -> dict[str, Any]:
    """Decode one event.

    :param item: the event's bytes, as NP6 sent them.
    :raises Np6ResponseError: if it is not an object, is not valid JSON, or is nested too deeply.
    """
    event = decode_json(item, "an event")
    if not isinstance(event, dict):
        raise Np6ResponseError("an event is not a JSON object")
    return event


def decode_json(json_text: bytes | msgspec.Raw, name: str) -> Any:
    """Decode one JSON value.

    :param json_text: the value in UTF-8.
    :param name: what an error calls it, such as "the response".
    :raises Np6ResponseError: if it is not valid JSON, or is nested too deeply.
    """
    try:
        try:
            return _decode(json_text)
        except msgspec.DecodeError:
            return _decode_slowly(replace_lone_surrogates(bytes(json_text)))
    except RecursionError:
        # Without its cause: a traceback of a thousand levels explains nothing.
        raise Np6ResponseError(f"{name} is nested too deeply to be decoded") from None
    except OverflowError:
        raise Np6ResponseError(f"{name} has a number that is too large even for decimal.Decimal") from None
    except (ValueError, msgspec.DecodeError):  # UnicodeDecodeError and json.JSONDecodeError are ValueErrors
        raise Np6ResponseError(f"{name} is not valid JSON in UTF-8") from None


def _decode_slowly(json_text: bytes) -> Any:
    """Decode a value without lone surrogates.

    :raises OverflowError: if a number is too large for Decimal.
    :raises ValueError: if it is not valid JSON.
    """
    try:
        return _decode(json_text)
    except msgspec.ValidationError:  # valid JSON so far, but a number is out of range
        return json.loads(
            json_text.decode(), parse_int=_to_int, parse_float=_to_float, parse_constant=_refuse_constant
        )


def _to_int(digits: str) -> int | Decimal:
    try:
        return int(digits)
    except ValueError:  # Python converts no more than sys.get_int_max_str_digits()
        return _to_decimal(digits)


def _to_float(digits: str) -> float | Decimal:
    number = float(digits)
    return _to_decimal(digits) if math.isinf(number) else number


def _to_decimal(digits: str) -> Decimal:
    try:
        number = Decimal(digits)
    except InvalidOperation:
        raise OverflowError from None
    if not number.is_finite():  # where the caller's decimal context does not trap InvalidOperation
        raise OverflowError
    return number


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's parser accepts although they are not JSON."""
    raise ValueError(name)
