"""Reads the body of a response while it arrives, and decompresses it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.errors import Np6ResponseError, Np6TruncatedError
from airflow_provider_np6.np6.http_errors import facts, translate_errors

if TYPE_CHECKING:
    import requests

CHUNK = 256 * 1024
"""Bytes read from the socket, and decompressed, at a time."""


def chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the body, decompressed, in pieces of at most :data:`CHUNK` bytes.

    Whether NP6 compresses is unknown: requests accept gzip, and responses may have it or not. Decompressing
    is done here, because urllib3 accepts a gzip stream without its checksum.

    :param response: one whose body has not been read.
    :raises Np6ResponseError: if the body is compressed otherwise.
    :raises Np6TimeoutError: if no byte arrives within ``read_timeout``.
    :raises Np6TruncatedError: if the body breaks off, by any sign that the framing gives.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    with translate_errors():
        pieces = _pieces(response)
        if encoding in ("", "identity"):
            yield from pieces
        elif encoding in ("gzip", "x-gzip"):
            yield from _decompress(pieces)
        else:
            raise Np6ResponseError(
                f"the response is compressed as {encoding[:40]!r}, not as gzip",
                hint="Check what proxies between the worker and NP6 do to responses.",
                **facts(response),
            )


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives: ``read`` would gather a whole chunk, and lose it all if the rest stalls."""
    while piece := response.raw.read1(CHUNK, decode_content=False):
        yield piece


def _decompress(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress gzip, of which several streams may follow one another."""
    decompressor = zlib.decompressobj(wbits=31)
    is_empty = True
    for piece in pieces:
        is_empty = False
        rest = piece
        while rest:
            if decompressor.eof:
                decompressor = zlib.decompressobj(wbits=31)
            yield decompressor.decompress(rest, CHUNK)
            rest = decompressor.unconsumed_tail or decompressor.unused_data
    if not is_empty and not decompressor.eof:
        raise Np6TruncatedError("the compressed response ends before its checksum")
