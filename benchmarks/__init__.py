"""What a run costs: requests, points, bytes, seconds."""
