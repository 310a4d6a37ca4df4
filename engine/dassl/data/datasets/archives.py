"""Unpacking downloaded archives without letting them write outside of their folder."""

import tarfile
import zipfile

from dassl.utils import ConfigError


def extract_archive(path, folder):
    """Extract a zip or tar archive (plain or compressed) into ``folder``.

    Raises:
        ConfigError: the file is no such archive, is damaged, or has a member that would land
            outside of ``folder``.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)  # drops ".." and leading slashes by itself
        else:
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise ConfigError(
            f'Cannot extract "{path}" ({error}). Delete the file and download it again; '
            "zip and tar archives are understood."
        ) from error
