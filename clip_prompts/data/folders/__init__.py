"""The layouts that ``ImageFolder`` reads.

``class_folders``, ``nested_folders`` and ``table`` each make a :class:`~.listing.Listing`. ``find`` chooses one,
``names`` gives the class names, ``divide`` makes train, val and test. ``clip_prompts/data/split_file.py`` reads split
files (``split_*.json``).
"""
