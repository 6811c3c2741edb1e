"""The lines that benchmarks put after a question, kept as published: in another wording it would be another benchmark.

Constants of a protocol, and the only sentences of others in this project: whatever else is said to a model here is worded by us. Nothing
repeats them (tests/model/evaluation/test_request_lines.py); who is asked what stands in `rules`.

    ASK_LETTER   haotian-liu/LLaVA docs/Evaluation.md, option-only questions; ByungKwanLee/Phantom utils/utils.py, make_instruction
    ASK_WORD     the same two, short answers; EvolvingLMMs-Lab/lmms-eval lmms_eval/tasks/chartqa/chartqa.yaml and pope/utils.py
    ASK_YES_NO   the end of every question of MME (BradyFU/Awesome-Multimodal-Large-Language-Models, MME_Benchmark_release_version);
                 Phantom's make_instruction puts it after HallusionBench's
"""

ASK_LETTER = "Answer with the option's letter from the given choices directly."
ASK_WORD = 'Answer the question using a single word or phrase.'
ASK_YES_NO = 'Please answer yes or no.'
