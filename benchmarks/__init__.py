"""Benchmarks against the libraries people use for each piece. ``python -m benchmarks`` runs them all."""
