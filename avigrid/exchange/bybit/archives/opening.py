"""Open a plain, gzip or zip file as bytes, whatever its name says."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from avigrid.exchange.bybit.archives.errors import BadArchive

_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGIC = b"PK\x03\x04"
_DAMAGE = (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError)


@contextmanager
def open_archive(path: Path) -> Iterator[IO[bytes]]:
    """Yields a buffered binary stream of the one file inside; turns damage into BadArchive."""
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
            raw.seek(0)
            if magic[:2] == _GZIP_MAGIC:
                with gzip.open(raw, "rb") as unzipped:
                    yield io.BufferedReader(cast(io.RawIOBase, unzipped), 1 << 20)
            elif magic == _ZIP_MAGIC:
                with zipfile.ZipFile(raw) as bundle, bundle.open(_only_member(bundle, path)) as member:
                    yield member
            else:
                yield raw
    except _DAMAGE as error:
        raise BadArchive(f"{path.name} is damaged: {error}", path=str(path)) from error
    except OSError as error:
        raise BadArchive(f"{path} cannot be read: {error.strerror or error}", path=str(path)) from error


def first_line(path: Path) -> str:
    with open_archive(path) as stream:
        line = stream.readline(1 << 20)
    try:
        return line.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise BadArchive(f"{path.name} is not a text file", path=str(path)) from error


def _only_member(bundle: zipfile.ZipFile, path: Path) -> str:
    names = [name for name in bundle.namelist() if not name.endswith("/")]
    if len(names) != 1:
        raise BadArchive(f"{path.name} holds {len(names)} files, expected exactly one", path=str(path))
    return names[0]
