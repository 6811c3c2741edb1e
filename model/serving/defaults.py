"""What vLLM is told of a checkpoint before it loads it."""

from vllm.config import ModelConfig
from vllm.model_executor.models.config import VerifyAndUpdateConfig

from model.serving import MODE


class PhantomDefaults(VerifyAndUpdateConfig):
    """vLLM asks this class once it knows the architecture."""

    @staticmethod
    def verify_and_update_model_config(model_config: ModelConfig) -> None:
        """Prompts are made by our renderer, whatever --tokenizer-mode says: any other would take a prompt that the sos tables do not fit."""
        model_config.tokenizer_mode = MODE
