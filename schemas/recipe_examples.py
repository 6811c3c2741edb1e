"""An example of each key of a recipe, as it would stand behind the colon."""

from types import MappingProxyType

_PROMPT = {'file': 'prompts/mine.md', 'system': 'prompts/system.md'}
_OF_JUDGE = {**_PROMPT, 'choices': "['Yes', 'No']"}
_EACH_MODEL = {
    'backend': 'vllm', 'base_urls': "['http://localhost:8000/v1']", 'model': 'Qwen/Qwen3-VL-4B-Instruct', 'revision': 'main', 'api_key_env': 'MY_KEY',
    'serve': 'demo', 'images': 'true', 'engine': '{dtype: bfloat16, max_model_len: 8192}', 'resources': '{num_gpus: 1}', 'resources.num_gpus': '0.5',
    'resources.num_cpus': '4', 'concurrency': '64', 'timeout_s': '300', 'stream': 'false', 'max_retries': '10', 'control_tokens': "['<|turn|>']",
    'image_files': '/data/sent', 'max_image_px': '2016', 'thinking_tokens': '2048', 'price_prompt': '0.15', 'price_completion': '0.6',
}  # fmt: skip
_EACH_SOURCE = {
    'format': 'llava', 'annotations': '[train.json]', 'splits': '[train, validation]', 'images': '[pictures, more.zip]',
    'strip_prefix': r"'C:\data'", 'image_subfolder': 'coco/train2017', 'other_extensions': 'true',
    'columns': '{image: picture, question: question, answer: meta.answer, ignore: [label]}', 'optional': 'true', 'category': 'charts',
    'licence': 'CC-BY-4.0', 'revision': "'2025-03-01'", 'image_prefix': '[docvqa/, chartqa/]', 'drop_image_prefix': '[sam/]', 'turns': 'each',
    'language': 'en', 'answers': 'exact', 'quota': '10000', 'subset': '50000', 'expected_paper': '57289', 'expected_today': '57289',
    'get_it': 'example.org/data (log in first)', 'accept_uncalibrated': 'true',
}  # fmt: skip
_EACH_BENCHMARK = {
    'name': 'pope', 'path': 'eval/POPE', 'format': 'pope', 'columns': '{question: query, answer: label}', 'accept': '[pictures]',
    'get_it': 'github.com/RUCAIBox/POPE',
}
_EACH_GENERATOR = {
    'prompt': 'grounded', 'prompt.answers': 'json', 'prompt.kinds': '[incorrect, ambiguous]', 'model': 'judge', 'sources': '[receipts]',
    'per_sample': '2', 'max_samples': '5000', 'max_tokens': '128', 'temperature': '0.7', 'max_failed': '0', 'below': '0.1', 'sure': '0.95',
    **{f'prompt.{key}': value for key, value in _PROMPT.items()},
}  # fmt: skip
_JUDGE = {
    'mode': 'yes_no', 'prompt': '{file: prompts/mine.md}', **{f'prompt.{key}': value for key, value in _OF_JUDGE.items()}, 'model': 'judge',
    'margin': '0.5', 'max_failed': '0',
}
_SECTIONS = {
    '': {'name': 'mine', 'extends': 'phantom', 'root': 'data', 'licence_note': 'received under contract 17', 'contradictions': 'majority',
         'sources': '{receipts: {format: llava, annotations: [receipts.json], images: [pictures], licence: MIT}}',
         'models': "{judge: {base_urls: ['http://localhost:8000/v1'], model: Qwen/Qwen3-VL-4B-Instruct, revision: main, images: true}}",
         'exclude': '[tags.json]',
         'rate': '{model: judge, drop: {correct: 0.05}}', 'generate': '[{prompt: rules}, {prompt: grounded, model: judge}]'},
    'sources.*.': _EACH_SOURCE,
    'images.': {'max_bytes': '20000000', 'max_pixels': '20000000', 'min_side_px': '28', 'max_aspect': '10', 'matching_extension': 'true',
                'placeholder_ids': f'[{"0123456789abcdef" * 4}]'},
    'text.': {'max_question_chars': '4000', 'max_answer_chars': '4000', 'min_answer_chars': '2', 'boilerplate': 'false', 'max_invisible_chars': '0'},
    'duplicates.': {'photo_bits': '5', 'document_bits': '3', 'photo_bits_256': '48', 'document_bits_256': '32', 'max_per_near_duplicate': '4',
                    'text': 'drop', 'text_jaccard': '0.9', 'max_per_near_text': '2', 'transforms': '[flip, crop]'},
    'contamination.': {'benchmarks': '[{name: pope, path: eval/POPE, format: pope}]', 'action': 'flag', 'image_bits': '5', 'image_bits_256': '48',
                       'ngram_words': '13', 'min_overlap': '0.7', 'paraphrases': 'flag',
                       'paraphrases_by_meaning': 'true', 'min_recall': '0.8'},
    'contamination.benchmarks.*.': _EACH_BENCHMARK,
    'mix.': {'licences': '[MIT, CC-BY-4.0]', 'weights': '{receipts: 2, sums: 1}', 'total': '100000', 'category_quotas': '{charts: 20000}',
             'validation_fraction': '0.05', 'shard_mb': '100', 'seed': 'another'},
    'models.*.': _EACH_MODEL,
    'rate.': {'model': '[judge, other]', 'ask': '[correct, needs_picture]', 'from': 'rated/ratings.parquet', 'max_samples': '{receipts: 2000}',
              'claims': 'true', 'drop': '{correct: {precision: 0.95}}', 'max_failed': '0'},
    'rate.ask.*.': {'name': 'safe', **_PROMPT, 'file': 'prompts/safe.md', 'choices': "['Yes', 'No']"},
    'rate.drop.*.': {'precision': '0.95'},
    'generate.*.': _EACH_GENERATOR,
    'judge.': {**_JUDGE, 'second': '{model: other, must_agree: true}', 'max_length_ratio': '5'},
    'judge.second.': {**_JUDGE, 'mode': 'pairwise', 'model': 'other', 'must_agree': 'true'},
    'calibration.': {'min_cases': '400', 'fraction': '0.1', 'min_auc': '0.7'},
    'triples.': {'max_samples': '{receipts: 5000}', 'exactly': '{receipts: 1000}', 'per_sample': '1', 'differ_within': '256'},
    'budget.': {'requests': '200000', 'tokens': '50000000', 'money': '25'},
}
EXAMPLES = MappingProxyType({f'{at}{name}': example for at, examples in _SECTIONS.items() for name, example in examples.items()})
