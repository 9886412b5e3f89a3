"""Reading checkpoints of other projects."""
