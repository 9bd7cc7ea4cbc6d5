"""Names of channel groups."""


def person_group(user_id: int) -> str:
    """Every open socket of one person."""
    return f"person.{user_id}"
