"""What trainers and datasets both stand on: errors for users, and nothing of CLIP or of any benchmark."""
