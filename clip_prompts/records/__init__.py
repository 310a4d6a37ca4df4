"""Records of evaluations, and the identity of the run that made them."""
