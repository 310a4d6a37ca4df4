"""One line for a user error."""

from clip_prompts.common import text
from clip_prompts.common.errors import UserError
from clip_prompts.common.files import FileRefused

try:
    from dassl.engine.faults import explained
except ImportError:  # upstream's Dassl lets faults of the machine through as they are

    def explained(error: Exception) -> UserError | None:
        return error if isinstance(error, UserError) else None


def user_message(error: Exception) -> str | None:
    """Returns one line to show the user, or None if the error is a bug. A full disk is a user error."""
    known = error if isinstance(error, UserError | text.OneLineError | FileRefused) else explained(error)
    return None if known is None else one_line(known)


def one_line(error: Exception) -> str:
    """The message in one line; of an error that a loader worker sent, only what it says, not its traceback."""
    message = str(error).strip()
    if "Original Traceback" in message:  # PyTorch wraps the worker's traceback, last line "module.Class: message"
        last = message.splitlines()[-1]
        message = last.partition(": ")[2] or last
    return text.one_line(message)
