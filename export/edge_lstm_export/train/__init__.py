"""Training: data, plan, teachers, network, checkpoint."""
