"""The embedding and the output layer."""

from torch import nn


class VocabParallelEmbedding(nn.Module):
    def __init__(self, num_embeddings, embedding_dim, prefix=""):
        super().__init__()
        self.num_embeddings = num_embeddings


class ParallelLMHead(VocabParallelEmbedding):
    """The output layer."""
