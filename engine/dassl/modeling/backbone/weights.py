import contextlib

from dassl.utils import DownloadError


@contextlib.contextmanager
def explaining_failed_download(name):
    """Turn a failed fetch of pretrained weights into one line with the next step."""
    try:
        yield
    except OSError as error:  # urllib's and huggingface_hub's connection errors among them
        reason = " ".join(str(error).split())[:200]
        raise DownloadError(
            f"Cannot fetch the pretrained weights of '{name}' ({reason}). "
            "Connect to the internet and run again, or set MODEL.BACKBONE.PRETRAINED False and MODEL.INIT_WEIGHTS to "
            "a file."
        ) from error
