"""The digest of an audit entry and the hash of a link. Both are plain enough to be recomputed by any other tool."""

import json
from collections.abc import Mapping
from hashlib import sha256

GENESIS = "0" * 64


def entry_digest(fields: Mapping[str, object]) -> str:
    """sha256 of the fields as JSON: keys sorted, no spaces, UTF-8."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).hexdigest()


def link_hash(prev_hash: str, digest: str) -> str:
    return sha256((prev_hash + digest).encode()).hexdigest()
