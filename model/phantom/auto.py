"""transformers' Auto classes know Phantom once this module is imported, which `import model` does."""

from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoProcessor,
)

from model.phantom.config import PhantomConfig, register
from model.phantom.modeling import PhantomForConditionalGeneration
from model.phantom.processor import PhantomProcessor

register()
AutoProcessor.register(PhantomConfig, PhantomProcessor, exist_ok=True)
for auto in (AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMultimodalLM):
    auto.register(PhantomConfig, PhantomForConditionalGeneration, exist_ok=True)
