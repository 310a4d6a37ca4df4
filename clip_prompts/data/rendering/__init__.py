"""Small pictures drawn by program: outlines, glyphs, colours and effects, all from explicit random generators.

Nothing here draws from a global random stream. The same generator state gives the same picture.
Used by the embedded datasets and by the program that trains the embedded backbone.
"""
