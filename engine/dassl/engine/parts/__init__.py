"""Parts that several bundled trainers share."""
