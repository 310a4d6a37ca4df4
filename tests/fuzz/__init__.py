"""Every file format that is read, fed with mutated files: ``python -m tests.fuzz --files 2000``.

A file is either read or refused with one clear line. Anything else is a failure: another exception, a crash, 5 seconds
without an end, a program run, a file written outside of the format's folder. The same seed gives the same files.

``formats/`` says of every format how its valid files are made (by the project's own writers) and how it is read.
"""
