"""A made-up organisation, and a simulated GitHub that serves its data."""
