"""vLLM in a process of its own on rows of ids and pictures: python -m tests.model.serving.offline CHECKPOINT IN.json OUT.json ENGINE.json."""

import base64
import io
import json
import sys
from pathlib import Path

from PIL import Image

from tests.model.serving.checkpoints import NEW


def main(checkpoint: str, rows: Path, out: Path, engine: Path) -> None:
    from vllm import LLM, SamplingParams

    said = json.loads(engine.read_text('utf-8'))
    llm = LLM(
        checkpoint, max_model_len=1024, max_num_seqs=16, block_size=32, max_num_batched_tokens=64, enable_chunked_prefill=True,
        enable_prefix_caching=True, seed=0, max_logprobs=5, limit_mm_per_prompt={'image': 2}, **{'dtype': 'float32', 'enforce_eager': True, **said},
    )  # fmt: skip
    asked = json.loads(rows.read_text('utf-8'))
    talks = [[{'role': 'user', 'content': [*map(shown, row['images']), {'type': 'text', 'text': row['text']}]}] for row in asked]
    ways = SamplingParams(temperature=0, max_tokens=NEW, ignore_eos=True, logprobs=0, prompt_logprobs=0, detokenize=False)
    done = []
    for output in llm.chat(talks, ways, use_tqdm=False):
        ids, answer = list(output.prompt_token_ids), output.outputs[0]
        scores = [step[token].logprob for step, token in zip(output.prompt_logprobs[1:], ids[1:], strict=True)]
        new = [next(iter(step.values())).logprob for step in answer.logprobs]
        done.append({'ids': ids, 'logprobs': scores, 'new': list(answer.token_ids), 'new_logprobs': new})
    out.write_text(json.dumps(done), 'utf-8')


def shown(image: str) -> dict:
    return {'type': 'image_pil', 'image_pil': Image.open(io.BytesIO(base64.b64decode(image)))}


if __name__ == '__main__':
    main(sys.argv[1], *map(Path, sys.argv[2:]))
