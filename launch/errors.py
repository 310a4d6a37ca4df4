"""How an error that the user can mend is shown."""


def one_line(error: Exception) -> str:
    """The message in one line; of an error that a loader worker sent, only what it says, not its traceback."""
    text = str(error).strip()
    if "Original Traceback" in text:  # PyTorch wraps the worker's traceback, whose last line is "module.Class: message"
        text = text.splitlines()[-1].partition(": ")[2] or text.splitlines()[-1]
    return " ".join(text.split())
