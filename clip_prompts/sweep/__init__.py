"""Parts of ``tools/sweep.py``.

``protocols`` turn a ``request`` into ``job`` s. ``state`` reads from a job's folder how far it is. ``run_jobs`` gives
the missing jobs to a ``launcher`` (``local``), and each of its processes runs one (``worker``). ``status`` shows all of
it. Only the processes that train import PyTorch.
"""
