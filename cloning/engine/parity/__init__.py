"""Comparison with the official implementation: stored inputs and outputs, number for number."""
