"""The model against tensors that the released code produced."""
