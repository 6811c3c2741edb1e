"""The mix judged by models that were trained on the rest of it, and mixes judged by what is learnt from them."""
