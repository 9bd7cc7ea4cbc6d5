"""How a source says that it cannot be opened: one sentence that names the file, the line and what is wrong."""


class BadSource(ValueError):
    pass
