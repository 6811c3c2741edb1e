"""The Phantom vision-language model, its losses, trainer and evaluation. Torch lives here and nowhere else.

Importing it makes transformers' Auto classes and pipelines load Phantom checkpoints.
"""

import model.phantom.auto  # noqa: F401  registers
