"""One metric a file, with its options."""
