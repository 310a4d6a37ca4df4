"""The program of ``scripts/gpu.sh``: tests, golden cases and measurements on a GPU, or small ones on a CPU."""
