"""PostgreSQL's binary values as numpy records: rows of fixed width, no parsing (PostgreSQL manual, COPY).

In COPY a row is a big-endian int16 count of fields, then for each field an int32 length and its bytes. With fixed
lengths and no NULL that is one structured dtype.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection

from avigrid.kernel.errors import Bug
from marketdata.selectors.times import PG_EPOCH_MS

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"


def record_dtype(fields: dict[str, str]) -> np.dtype[Any]:
    """`fields`: name -> numpy type; each is preceded by its length field `#name`."""
    parts: list[tuple[str, str]] = [("#", ">i2")]
    for name, kind in fields.items():
        parts += [(f"#{name}", ">i4"), (name, kind)]
    return np.dtype(parts)


def empty_records(count: int, fields: dict[str, str]) -> npt.NDArray[Any]:
    """Records with counts and lengths filled in; the caller fills the named fields."""
    records = np.empty(count, dtype=record_dtype(fields))
    records["#"] = len(fields)
    for name, kind in fields.items():
        records[f"#{name}"] = np.dtype(kind).itemsize
    return records


def to_pg_time(ms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return (ms - PG_EPOCH_MS) * 1000


def from_pg_time(micros: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return micros.astype(np.int64) // 1000 + PG_EPOCH_MS


def copy_out(query: str, params: list[Any], fields: dict[str, str]) -> npt.NDArray[Any]:
    """Runs `COPY (query) TO STDOUT`; every column must be NOT NULL and of the stated width."""
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)", params) as copy:
        blob = b"".join(copy)
    dtype = record_dtype(fields)
    count = (len(blob) - len(HEADER) - len(TRAILER)) // dtype.itemsize
    return np.frombuffer(blob, dtype=dtype, offset=len(HEADER), count=count)


_SENDERS = {">i8": "timestamptz_send", ">f8": "float8send"}


def packed_out(query: str, params: list[Any], fields: dict[str, str]) -> npt.NDArray[Any]:
    """The same records in one value: for some hundred rows thrice as quick as COPY, whose every row is a message.

    `fields` name the query's columns: `>i8` a timestamptz, `>f8` a double precision. Row order is the query's.
    """
    row = " || ".join(f"{_SENDERS[kind]}({name})" for name, kind in fields.items())
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT string_agg({row}, ''::bytea) FROM ({query}) AS wanted", params)  # noqa: S608
        blob = cursor.fetchone()[0]
    return np.frombuffer(b"" if blob is None else blob, dtype=np.dtype(list(fields.items())))


_ARRAY_HEAD_BYTES = 20
_ARRAY_ITEM = np.dtype([("#", ">i4"), ("item", ">f8")])


def float_array(cell: bytes | None) -> npt.NDArray[np.float64]:
    """A float8[] of one dimension as the wire has it: dimensions, type and bounds, then each item after its length."""
    if cell is None:
        raise Bug("an array is expected where the database says NULL", code="null_array")
    items = np.frombuffer(cell, dtype=_ARRAY_ITEM, offset=_ARRAY_HEAD_BYTES)
    return items["item"].astype(np.float64)


def pg_integer(cell: bytes) -> int:
    """An int8, or a timestamptz in microseconds since PostgreSQL's epoch."""
    return int.from_bytes(cell, "big", signed=True)


def copy_in(table: str, records: npt.NDArray[Any]) -> None:
    """`table` with its column list, e.g. `t (a, b)`; the fields of `records` in the same order."""
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.write(HEADER)
        view = memoryview(records.view(np.uint8))
        for at in range(0, len(view), 1 << 20):
            copy.write(view[at : at + (1 << 20)])
        copy.write(TRAILER)
