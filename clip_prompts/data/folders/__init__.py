"""The layouts that ``ImageFolder`` reads, one file each, and what becomes of what they list.

``part_folders``, ``class_folders``, ``domain_folders`` and ``table`` each make a :class:`~.listing.Listing`;
``find`` says which of them a folder has, ``names`` what classes are called, ``divide`` who is trained and tested on.
A split file (``split_*.json``) needs none of this: ``clip_prompts/data/split_file.py`` reads it.
"""
