"""Reading and writing checkpoints of other projects."""
