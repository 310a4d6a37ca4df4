"""What several trainers are made of."""
