"""What ``tools/sweep.py`` is made of.

``protocols`` turn a ``request`` into ``job`` s; ``state`` reads from a job's folder how far it is; ``drive`` gives the
jobs that are missing to a ``launcher`` (``local``), whose processes each run one (``worker``); ``status`` shows all of
it. Nothing here imports PyTorch but the processes that train.
"""
