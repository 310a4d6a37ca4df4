"""Unpacking downloaded archives without letting them write outside of their folder."""

import tarfile
import zipfile

from dassl.utils import ConfigError, OutputError
from dassl.utils.regular_files import open_regular


def extract_archive(path, folder):
    """Extract a zip or tar archive (plain or compressed) into ``folder``.

    Raises:
        ConfigError: the file is no such archive, is damaged or encrypted, or has a member that
            would land outside of ``folder``.
        OutputError: (an OSError) ``folder`` cannot be written.
    """
    try:
        with open_regular(path) as file:
            if not file.read(512).strip(b"\0"):  # xz would skip zeros without end
                raise ValueError("it begins with zeros")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)  # drops ".." and leading slashes by itself
        else:
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
    except Exception as error:  # the formats' libraries let errors of many kinds out
        if isinstance(error, OSError) and error.errno is not None:  # of the disk, not of the decompression
            raise OutputError(
                f'Cannot extract "{path}" into "{folder}" ({error.strerror or error}). '
                "Check the permissions and the free space."
            ) from error
        raise ConfigError(
            f'Cannot extract "{path}" ({error}). Delete the file and download it again; '
            "zip and tar archives are understood."
        ) from error
