"""The Lambda packages and the AWS stacks around them."""
