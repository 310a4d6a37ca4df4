"""The parts of ``tools/train_tiny.py``: a world of rendered pictures with captions, training, evaluation."""
