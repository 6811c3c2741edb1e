"""The network: configuration, vision tower, attention with the phantom dimension, decoders, processor."""
