"""What the methods share: backbones, prompts, the text encoder, precision, the base trainer, templates.

Letters of the shapes: C classes, M context vectors, d text width, B images, D joint width, L prompt length.
"""
