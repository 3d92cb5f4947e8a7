"""The marts as JSON, over HTTP."""
