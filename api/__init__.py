"""The marts as JSON."""
