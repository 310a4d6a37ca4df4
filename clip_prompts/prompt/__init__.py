"""A learned prompt in use: ``load_prompt``, predictions, classifiers, exports. Begin with ``prompt.py``."""
