"""Who may ask a shield: nodes of this installation, for media, and nobody else."""
