"""The costs of a run: requests, points, bytes, seconds."""
