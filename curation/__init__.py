"""The rules: pure functions on records, batches and images. No Beam, torch, language-model client or network."""
