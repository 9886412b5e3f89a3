"""What an example of the data is, and what the model sees of it."""
