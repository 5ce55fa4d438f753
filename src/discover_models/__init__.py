"""Finds language models, the GPU kernel definitions each one needs, and who has them."""
