"""Programs beside training."""
