"""Image features of a frozen encoder: computed once, ahead of the steps, or from several random views."""
