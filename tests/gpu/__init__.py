"""What ``scripts/gpu.sh`` runs: tests, golden cases and measurements on a GPU, or small ones on a CPU."""
