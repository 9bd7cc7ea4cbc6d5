"""The digest and the chain can be recomputed by any other tool: these values come from `printf ... | sha256sum`."""

from accounts.core.audit_digest import GENESIS, entry_digest, link_hash


def test_digest_is_sha256_of_compact_sorted_json() -> None:
    # printf '{"a":1,"b":"\xc3\xa9"}' | sha256sum
    assert entry_digest({"b": "é", "a": 1}) == "09ad9fd2fb648cb2f62141215828ea00a62c299db05d20aa9ade2f527a301cc6"


def test_link_is_sha256_of_both_texts() -> None:
    assert link_hash(GENESIS, "ab" * 32) == "ddf930076f1034e5fc5bbfc8da524477f9e196f4c834ee447d58231a97296194"
