"""Checkpoints served by an unmodified vLLM: its plug-in entry point, and `phantom serve`, the front before it. Importing this imports no vLLM."""

ARCHITECTURE = 'PhantomForConditionalGeneration'  # as `architectures` of a saved config.json has it
MODE = 'phantom'  # what vLLM calls our way to make prompts


def register() -> None:
    """Makes vLLM know the architecture, its prompts and its settings; vLLM calls this in each of its processes (vllm.general_plugins)."""
    from vllm import ModelRegistry
    from vllm.model_executor.models.config import MODELS_CONFIG_MAP
    from vllm.renderers.registry import RENDERER_REGISTRY
    from vllm.tokenizers.registry import TokenizerRegistry

    from model.phantom.config import register as register_config
    from model.serving.defaults import PhantomDefaults

    register_config()
    ModelRegistry.register_model(ARCHITECTURE, f'model.serving.served:{ARCHITECTURE}')
    MODELS_CONFIG_MAP[ARCHITECTURE] = PhantomDefaults
    if MODE not in RENDERER_REGISTRY.renderers:
        TokenizerRegistry.register(MODE, 'vllm.tokenizers.hf', 'CachedHfTokenizer')
        RENDERER_REGISTRY.register(MODE, 'model.serving.prompts', 'PhantomRenderer')
