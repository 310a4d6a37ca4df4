"""Checks, name by name, that a ``dassl`` package keeps the interface of Dassl 0.6.3.

``facts/`` lists the names with their signatures, defaults and texts; ``checks/`` holds what each does. Run it with
``python -m conformance`` from the folder above, or ``python engine/conformance``; ``--help`` tells more.
"""
