"""Why a file cannot be used; the message is meant for the person who named the file."""

from avigrid.kernel.errors import Rejected


class BadArchive(Rejected):
    """Not a file of the expected format, or damaged; `details` hold the path and, where known, the line."""

    code = "bad_archive"


class InverseContract(BadArchive):
    """A coin-margined contract: sizes are in USD and profit in coin, so nothing here fits it."""

    code = "inverse_contract"
