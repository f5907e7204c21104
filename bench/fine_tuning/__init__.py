"""Study of fine-tuning with fixed masks, by distillation from the dense model."""
