"""Train networks from images and their catalogues: patches, losses, steps, checkpoints and validation."""
