import torchvision.transforms as T
from torch.utils.data import Dataset

from dassl.utils import ConfigError

from .decoded import DecodedImages
from .transforms import interpolation_mode


class DatasetWrapper(Dataset):
    """Reads and transforms the images of a list.

    An item is a dict with, in this order: ``label``, ``domain`` (ints), ``impath`` (str), ``index``
    (int, position in the list), ``img`` and, when there are several transforms, ``img2``, ``img3``,
    ... A view is a float tensor (3, H, W), or with ``k_tfm > 1`` a list of that many; without a
    transform ``img`` is the PIL image. ``img0`` (RETURN_IMG0) is the image without augmentation.

    Args:
        cfg: the config tree; ``INPUT`` and ``DATALOADER`` are read.
        data_source (list): items of type Datum.
        transform (callable, list, tuple or None): one transform for each view.
        is_train (bool): K_TRANSFORMS counts in training only; so does DECODED_MB, the memory in which training
            images are kept after they are decoded for the first time.

    Raises:
        ConfigError: (a ValueError) several views are asked for without a transform.
        ImageReadError, MissingFileError: on reading an item; the line names the image.
        ConfigError: on transforming an item, such as an image that is too small for random_crop.
    """

    def __init__(self, cfg, data_source, transform=None, is_train=False):
        self.cfg = cfg
        self.data_source = data_source
        self.transform = transform
        self.is_train = is_train
        self.k_tfm = cfg.DATALOADER.K_TRANSFORMS if is_train else 1
        self.decoded = DecodedImages(cfg.DATALOADER.get("DECODED_MB", 0) * 2**20 if is_train else 0)
        self.return_img0 = cfg.DATALOADER.RETURN_IMG0
        if self.k_tfm > 1 and transform is None:
            raise ConfigError(f"Cannot augment the image {self.k_tfm} times because transform is None")

        steps = [T.Resize(cfg.INPUT.SIZE, interpolation=interpolation_mode(cfg.INPUT.INTERPOLATION)), T.ToTensor()]
        if "normalize" in cfg.INPUT.TRANSFORMS:
            steps.append(T.Normalize(mean=cfg.INPUT.PIXEL_MEAN, std=cfg.INPUT.PIXEL_STD))
        self.to_tensor = T.Compose(steps)

    def decode(self):
        """Decode the images that fit in memory, now."""
        self.decoded.fill(map(_key, self.data_source))

    def __len__(self):
        return len(self.data_source)

    def __getitem__(self, idx):
        item = self.data_source[idx]
        output = {"label": item.label, "domain": item.domain, "impath": item.impath, "index": idx}
        img0 = self.decoded.read(*_key(item))
        try:
            if self.transform is None:
                output["img"] = img0
            elif isinstance(self.transform, (list, tuple)):
                for number, transform in enumerate(self.transform, start=1):
                    output["img" if number == 1 else f"img{number}"] = self._transform_image(transform, img0)
            else:
                output["img"] = self._transform_image(self.transform, img0)
        except ConfigError as error:
            raise ConfigError(f'"{item.impath}" cannot be transformed: {error}') from error
        if self.return_img0:
            output["img0"] = self.to_tensor(img0)
        return output

    def _transform_image(self, tfm, img0):
        """Return one view of the image, or a list of ``k_tfm`` of them."""
        views = [tfm(img0) for _ in range(self.k_tfm)]
        return views[0] if self.k_tfm == 1 else views


def _key(item):
    """Return the arguments of ``load_image``."""
    return item.impath, getattr(item, "as_viewed", False)
