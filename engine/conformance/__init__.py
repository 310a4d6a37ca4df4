"""Tests of the interface of Dassl 0.6.3, for any ``dassl``: ``pytest engine/conformance --dassl FOLDER``.

``facts/`` lists the names with their signatures, defaults and base classes; the tests say how each behaves.
"""
