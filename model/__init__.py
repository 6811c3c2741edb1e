"""The Phantom vision-language model, its losses, trainer and evaluation. Torch lives here and nowhere else."""
