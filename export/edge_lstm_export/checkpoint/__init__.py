"""What is kept in files: a trained network, the stages of a training."""
