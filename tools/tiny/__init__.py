"""What tools/train_tiny.py is made of: a world of rendered pictures with captions, training, evaluation, packing."""
