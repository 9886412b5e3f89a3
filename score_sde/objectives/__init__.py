"""What is trained: a loss for each example of a batch. One objective a file."""
