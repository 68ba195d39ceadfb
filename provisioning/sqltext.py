"""Write texts of our own into statements that take no parameters, such as `ALTER ROLE … SET`."""


def literal(text: str) -> str:
    """Quote an SQL string.

    Errors: ValueError for a backslash or NUL, which none of our own texts has.
    """
    if "\\" in text or "\0" in text:
        raise ValueError(text)
    return "'" + text.replace("'", "''") + "'"
