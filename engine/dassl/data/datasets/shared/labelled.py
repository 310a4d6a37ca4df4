"""Choice of the images of a training list that keep their labels."""

from dassl.utils import ConfigError


def split_labelled(dataset, train, settings):
    """Return (labelled images, the rest) of a training list, by ``NUM_LABELED`` or ``NUM_SHOTS``.

    ``NUM_LABELED`` is a total, shared equally by the classes; where it is not set, ``NUM_SHOTS`` is the number of a
    class; where neither is, all images are labelled. Both draw by ``generate_fewshot_dataset``.

    Args:
        dataset (DatasetBase): whose method draws.
        train (list): items of type Datum.
        settings: ``cfg.DATASET``.

    Raises:
        ConfigError: NUM_LABELED cannot be shared equally by the classes, or a class has too few images.
    """
    shots, total = settings.NUM_SHOTS, settings.NUM_LABELED
    if total > 0:
        by_label = dataset.split_dataset_by_label(train)
        shots, over = divmod(total, len(by_label))
        if over or not shots:
            raise ConfigError(
                f"DATASET.NUM_LABELED {total} cannot be shared equally by {len(by_label)} classes. "
                f"Set it to a multiple of {len(by_label)}."
            )
        smallest = min(len(items) for items in by_label.values())
        if smallest < shots:
            raise ConfigError(
                f"DATASET.NUM_LABELED {total} asks for {shots} images of each class, but one has {smallest}. Lower it."
            )
    if shots < 1:
        return train, []
    labelled = dataset.generate_fewshot_dataset(train, num_shots=shots)
    kept = {id(item) for item in labelled}
    return labelled, [item for item in train if id(item) not in kept]
