"""Trainers in the styles that users of Dassl write, one a file, with nothing but the names that Dassl has.

Each file has a ``Network`` in plain PyTorch and a trainer; what the tests compare is computed from the network alone.
"""
