"""The backend that a recipe's model section asks for. Each is imported when it is asked for: `openai` alone takes a second."""

from pathlib import Path

from pipelines.chat.manners import UNSEEN, Manners
from pipelines.chat.protocol import ChatBackend
from schemas.recipe import Model


def open_backend(settings: Model, batches: Path = Path('batches'), manners: Manners = UNSEEN) -> ChatBackend:
    """Return the backend that a recipe's model section asks for; nothing is contacted yet.

    `batches` holds batch files, `manners` is what the server was seen to do when it was checked.
    """
    if settings.backend == 'openai':
        from pipelines.chat.openai_backend import OpenAIBackend

        return OpenAIBackend(settings, manners=manners)
    if settings.backend == 'vllm':
        from pipelines.chat.vllm_backend import VllmBackend

        return VllmBackend(settings, dict(settings.engine), manners=manners)
    from pipelines.chat.openai_batch import OpenAIBatch

    return OpenAIBatch(settings, batches, manners=manners)
