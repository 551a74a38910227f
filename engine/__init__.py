"""Training: tasks, the trainer, its state, logs and validation; knows nothing of command lines."""
