"""Training images, decoded once and kept in memory."""

import os
from concurrent.futures import ThreadPoolExecutor

from dassl.utils import load_image

_AT_ONCE = 64  # images that are decoded ahead before the limit is looked at again


class DecodedImages:
    """Reads images, and keeps the first ones decoded until a limit is reached.

    Args:
        max_bytes (int): memory for decoded images, 3 bytes a pixel; 0 keeps none.
    """

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        self._images = {}
        self._used = 0
        self._filled = False

    def read(self, path, as_viewed=False):
        """Return the image at ``path``, as ``dassl.utils.load_image`` does; the caller may change it.

        Raises ImageReadError, MissingFileError: as ``load_image``.
        """
        key = path, as_viewed
        image = self._images.get(key)
        if image is None:
            image = load_image(*key)
            if not self._keep(key, image):
                return image
        return image.copy()

    def fill(self, images):
        """Decode the images that fit, with a thread for each core; what cannot be read is left to ``read``.

        ``images``: pairs of path and ``as_viewed``.
        Loader workers that are forked afterwards share the decoded images, without a copy.
        """
        if self._filled or self.max_bytes <= 0:
            return
        self._filled = True
        images = list(dict.fromkeys(images))
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for start in range(0, len(images), _AT_ONCE):
                part = images[start : start + _AT_ONCE]
                kept = [
                    self._keep(key, image)
                    for key, image in zip(part, threads.map(_read_or_none, part), strict=True)
                    if image is not None
                ]
                if not all(kept):
                    return

    def _keep(self, key, image):
        size = image.width * image.height * len(image.getbands())
        if self._used + size > self.max_bytes:
            return False
        self._images[key] = image
        self._used += size
        return True

    def __getstate__(self):
        # A worker that is spawned gets a copy of the dataset: it reads for itself.
        return {**self.__dict__, "_images": {}, "_used": 0}


def _read_or_none(key):
    try:
        return load_image(*key)
    except OSError:  # the loader reads it again, and reports it with its place
        return None
