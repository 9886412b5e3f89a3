"""Training: state, step, loop, checkpoints, sharding and logging."""
