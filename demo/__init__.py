"""A made-up organisation, and a GitHub that serves it."""
