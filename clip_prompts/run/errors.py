"""The line that a user reads about an error."""

from clip_prompts.common import text
from clip_prompts.common.errors import UserError
from clip_prompts.common.files import FileRefused

try:
    from dassl.engine.faults import as_user_error
    from dassl.utils import UserError as EngineError
except ImportError:  # upstream's Dassl has no user errors, and lets faults of the machine through as they are
    EngineError = UserError

    def as_user_error(error: Exception) -> None:
        return None


USER_ERRORS = (UserError, EngineError, FileRefused)


def user_message(error: Exception) -> str | None:
    """Returns one line to show the user, or None if the error is a bug. A full disk is a user error."""
    known = error if isinstance(error, USER_ERRORS) else as_user_error(error)
    return None if known is None else one_line(known)


def one_line(error: Exception) -> str:
    """Returns the message in one line; of an error from a loader worker only its message, without its traceback."""
    message = str(error.args[0] if isinstance(error, UserError) and error.args else error).strip()
    if "Original Traceback" in message:  # PyTorch wraps the worker's traceback, last line "module.Class: message"
        last = message.splitlines()[-1]
        message = last.partition(": ")[2] or last
    return text.one_line(message)
