"""Errors: one line, the built-in type that older clients catch, and the way through worker processes."""

import pickle

import pytest
import torch
from dassl.utils import errors
from dassl.utils.errors import ImageReadError, UserError

CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, UserError)]
BUILT_IN = {
    "UnknownNameError": ValueError,
    "RegistryError": KeyError,
    "MissingFileError": FileNotFoundError,
    "OutputError": OSError,
    "DownloadError": OSError,
    "ImageReadError": OSError,
    "LoaderWorkerError": RuntimeError,
    "CheckpointError": RuntimeError,
    "ConfigError": ValueError,
    "EmptyDataError": ZeroDivisionError,
    "EvaluationError": FloatingPointError,
    "NonFiniteLossError": FloatingPointError,
    "UserError": Exception,
}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_line_type_and_pickle(cls):
    error = cls("Cannot do 'x'. Try y.")
    assert str(error) == "Cannot do 'x'. Try y."
    assert issubclass(cls, BUILT_IN[cls.__name__])
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls and str(copy) == str(error)


class _Broken(torch.utils.data.Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise ImageReadError('Cannot read the image "a: b.jpg" (truncated). Replace it.')


def test_line_survives_a_loader_worker():
    loader = torch.utils.data.DataLoader(_Broken(), num_workers=1)
    with pytest.raises(ImageReadError) as caught:
        next(iter(loader))
    assert str(caught.value) == 'Cannot read the image "a: b.jpg" (truncated). Replace it.'
