"""InternViT: image tiles become patch features, and the projector turns those into decoder tokens."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Root-mean-square normalisation, computed in float32."""

    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, states: Tensor) -> Tensor:
        """float[..., D] -> float[..., D]."""
        wide = states.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(states.dtype)


def make_norm(config: dict[str, Any]) -> nn.Module:
    """The normalisation that `norm_type` names."""
    size, eps = config['hidden_size'], config['layer_norm_eps']
    return RMSNorm(size, eps) if config['norm_type'] == 'rms_norm' else nn.LayerNorm(size, eps=eps)


class VisionEmbeddings(nn.Module):
    """Patches with a class token in front and learned positions added."""

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        size, patch = config['hidden_size'], config['patch_size']
        self.side = config['image_size'] // patch
        self.class_embedding = nn.Parameter(torch.randn(1, 1, size))
        self.patch_embedding = nn.Conv2d(3, size, kernel_size=patch, stride=patch)
        self.position_embedding = nn.Parameter(torch.randn(1, 1 + self.side**2, size))

    def positions(self, height: int, width: int) -> Tensor:
        """float[1, 1 + height * width, D], interpolated when the grid is not the trained one."""
        if (height, width) == (self.side, self.side):
            return self.position_embedding
        head, grid = self.position_embedding[:, :1], self.position_embedding[:, 1:]
        grid = grid.float().reshape(1, self.side, self.side, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(height, width), mode='bicubic', align_corners=False)
        return torch.cat([head, grid.flatten(2).transpose(1, 2).to(head.dtype)], dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """float[N, 3, H, W] -> float[N, 1 + patches, D]."""
        patches = self.patch_embedding(pixels)
        height, width = patches.shape[-2:]
        tokens = patches.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_embedding.expand(len(tokens), -1, -1).to(tokens.dtype), tokens], dim=1)
        return tokens + self.positions(height, width).to(tokens.dtype)


class VisionAttention(nn.Module):
    """Full self-attention with q, k and v packed as (3, heads, d)."""

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        size = config['hidden_size']
        self.heads = config['num_attention_heads']
        self.qkv = nn.Linear(size, 3 * size, bias=config['qkv_bias'])
        self.proj = nn.Linear(size, size)
        self.qk_normalization = config['qk_normalization']
        if self.qk_normalization:
            self.q_norm = RMSNorm(size, config['layer_norm_eps'])
            self.k_norm = RMSNorm(size, config['layer_norm_eps'])

    def forward(self, states: Tensor) -> Tensor:
        """float[N, T, D] -> float[N, T, D]."""
        count, length, size = states.shape
        query, key, value = self.qkv(states).chunk(3, dim=-1)
        if self.qk_normalization:
            query, key = self.q_norm(query), self.k_norm(key)
        query, key, value = (
            part.reshape(count, length, self.heads, -1).transpose(1, 2) for part in (query, key, value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(count, length, size))


class VisionMLP(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.fc1 = nn.Linear(config['hidden_size'], config['intermediate_size'])
        self.fc2 = nn.Linear(config['intermediate_size'], config['hidden_size'])

    def forward(self, states: Tensor) -> Tensor:
        """float[N, T, D] -> float[N, T, D]."""
        return self.fc2(F.gelu(self.fc1(states)))


class VisionLayer(nn.Module):
    """Pre-norm attention and MLP, each scaled per channel (LayerScale)."""

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        size = config['hidden_size']
        self.attn, self.mlp = VisionAttention(config), VisionMLP(config)
        self.norm1, self.norm2 = make_norm(config), make_norm(config)
        self.ls1, self.ls2 = nn.Parameter(torch.ones(size)), nn.Parameter(torch.ones(size))

    def forward(self, states: Tensor) -> Tensor:
        """float[N, T, D] -> float[N, T, D]."""
        states = states + self.attn(self.norm1(states)) * self.ls1
        return states + self.mlp(self.norm2(states)) * self.ls2


class VisionEncoder(nn.Module):
    """The stack of layers; there is no final norm."""

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.layers = nn.ModuleList([VisionLayer(config) for _ in range(config['num_hidden_layers'])])

    def forward(self, states: Tensor) -> Tensor:
        """float[N, T, D] -> float[N, T, D]."""
        for layer in self.layers:
            states = layer(states)
        return states


class VisionModel(nn.Module):
    """Features of image tiles, the class token first."""

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.embeddings = VisionEmbeddings(config)
        self.encoder = VisionEncoder(config)

    def forward(self, pixels: Tensor) -> Tensor:
        """float[N, 3, H, W] -> float[N, 1 + patches, D]."""
        return self.encoder(self.embeddings(pixels))


def pixel_shuffle(grid: Tensor, ratio: float) -> Tensor:
    """float[N, H, W, C] -> float[N, H*r, W*r, C/r/r]: neighbouring patches joined, channels in (dy, dx, c) order."""
    count, height, width, channels = grid.shape
    step = round(1 / ratio)
    blocks = grid.reshape(count, height // step, step, width // step, step, channels)
    return blocks.permute(0, 1, 3, 2, 4, 5).reshape(count, height // step, width // step, step * step * channels)


def make_projector(vision_size: int, text_size: int, ratio: float) -> nn.Sequential:
    """LayerNorm, Linear, GELU, Linear: shuffled patch features to decoder tokens."""
    packed = vision_size * round(1 / ratio) ** 2
    return nn.Sequential(nn.LayerNorm(packed), nn.Linear(packed, text_size), nn.GELU(), nn.Linear(text_size, text_size))
