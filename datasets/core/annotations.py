"""Reading annotation lists: text files with one image a line."""

from collections.abc import Collection, Iterator

from common.errors import UserError


def read_fields(path: str, n: int, numbers: Collection[int] = (), remedy: str = "") -> Iterator[list]:
    """Yield the ``n`` space-separated fields of each line; those at the positions ``numbers`` as whole numbers from 1.

    Empty lines and lines that start with ``#`` are skipped. Raises UserError that names the file and the line;
    ``remedy`` says what to do about a missing file.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}. {remedy}".rstrip()) from error
    for line_number, line in enumerate(lines, start=1):
        fields: list = line.split()
        if not fields or line.startswith("#"):
            continue
        where = f"{path}, line {line_number}: '{line}'"
        if len(fields) != n:
            raise UserError(f"{where} has {len(fields)} fields, not {n}.")
        for position in numbers:
            if not fields[position].isdecimal() or int(fields[position]) < 1:
                raise UserError(f"{where}: '{fields[position]}' is not a whole number from 1.")
            fields[position] = int(fields[position])
        yield fields
