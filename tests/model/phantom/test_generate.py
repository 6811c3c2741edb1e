"""`generate` takes transformers' arguments, with pictures and without; what cannot be is refused."""

import pytest
import torch
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM, StoppingCriteria, TextStreamer, pipeline
from transformers.generation.streamers import BaseStreamer

from tests.model.phantom.tiny import asked, make_tiny, picture, save_tiny

NEW = {'max_new_tokens': 6, 'do_sample': False, 'eos_token_id': 257}


@pytest.fixture(scope='module')
def tiny():
    return make_tiny()


@pytest.fixture(scope='module')
def model(tiny):
    return tiny[0]


@pytest.fixture(scope='module', params=['text', 'picture'])
def inputs(request, tiny):
    images = [picture(2, (150, 60)), picture(3)] if request.param == 'picture' else []
    return tiny[1].encode_questions(['What is to be seen? What is to be seen?'], [images])


@pytest.fixture(scope='module')
def greedy(model, inputs):
    """By a forward over all tokens each time, without cache and without `generate`."""
    ids = inputs['input_ids']
    for _ in range(NEW['max_new_tokens']):
        logits = model(input_ids=ids, pixel_values=inputs.get('pixel_values')).logits
        ids = torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)
    return ids


def test_greedy_equals_whole_forwards(model, inputs, greedy):
    assert torch.equal(model.generate(**inputs, **NEW), greedy)
    assert torch.equal(model.generate(**inputs, **NEW, use_cache=False), greedy)
    assert torch.equal(model.generate(**inputs, generation_config=GenerationConfig(**NEW)), greedy)
    given = dict(inputs)
    assert torch.equal(model.generate(given.pop('input_ids'), GenerationConfig(**NEW), **given), greedy)
    assert torch.equal(model.generate(inputs=inputs['input_ids'], pixel_values=inputs.get('pixel_values'), **NEW), greedy)


@pytest.mark.parametrize('given', [{'prompt_lookup_num_tokens': 3}, {'prefill_chunk_size': 7}])
def test_candidates_and_chunks_change_no_token(model, inputs, greedy, given):
    assert torch.equal(model.generate(**inputs, **NEW, **given), greedy)


def test_beams_and_several_sequences(model, inputs, greedy):
    length = inputs['input_ids'].shape[1]
    found = model.generate(**inputs, **NEW, num_beams=3, num_return_sequences=2, return_dict_in_generate=True, output_scores=True)
    assert found.sequences.shape == (2, length + 6)
    assert (found.sequences[:, :length] == inputs['input_ids']).all()
    assert found.sequences_scores[0] >= found.sequences_scores[1]
    torch.manual_seed(0)
    sampled = model.generate(**inputs, max_new_tokens=6, do_sample=True, temperature=3.0, top_k=50, num_return_sequences=4)
    assert len({tuple(row) for row in sampled.tolist()}) > 1
    assert torch.equal(model.generate(**inputs, max_new_tokens=6, do_sample=True, top_k=1, eos_token_id=257), greedy)


def test_scores_logits_and_hidden_states_come_back(model, inputs, greedy):
    found = model.generate(
        **inputs, **NEW, return_dict_in_generate=True, output_scores=True, output_logits=True, output_hidden_states=True
    )
    assert torch.equal(found.sequences, greedy)
    assert [len(part) for part in (found.scores, found.logits, found.hidden_states)] == [6] * 3
    expected = model(input_ids=greedy, pixel_values=inputs.get('pixel_values')).logits[0, -7:-1]
    assert torch.allclose(torch.cat(found.logits), expected, atol=2e-5)
    with pytest.raises(ValueError, match='output_attentions: expected False'):
        model.generate(**inputs, **NEW, return_dict_in_generate=True, output_attentions=True)


class Kept(BaseStreamer):
    def __init__(self):
        self.ids, self.ended = [], False

    def put(self, value):
        self.ids += value.flatten().tolist()

    def end(self):
        self.ended = True


def test_a_streamer_gets_every_token(model, inputs, greedy, tiny, capsys):
    kept = Kept()
    model.generate(**inputs, **NEW, streamer=kept)
    assert (kept.ids, kept.ended) == (greedy[0].tolist(), True)
    model.generate(**inputs, **NEW, streamer=TextStreamer(tiny[1].tokenizer, skip_prompt=True))
    assert capsys.readouterr().out.endswith('\n')


class AfterTwo(StoppingCriteria):
    def __init__(self, length):
        self.length = length

    def __call__(self, input_ids, scores, **kwargs):
        return torch.full((len(input_ids),), input_ids.shape[1] >= self.length + 2)


def test_stopping_criteria_and_stop_strings_end_it(model, inputs, greedy, tiny):
    length = inputs['input_ids'].shape[1]
    assert torch.equal(model.generate(**inputs, **NEW, stopping_criteria=[AfterTwo(length)]), greedy[:, : length + 2])
    same = {'prefix_allowed_tokens_fn': lambda batch, ids: [65], 'stop_strings': [tiny[1].decode([65, 65])]}
    assert model.generate(**inputs, **NEW, **same, tokenizer=tiny[1].tokenizer).shape[1] == length + 2


def test_other_processors_of_logits_stand(model, inputs, greedy):
    first = greedy[0, inputs['input_ids'].shape[1]].item()
    assert first not in model.generate(**inputs, **NEW, bad_words_ids=[[first]])[0, inputs['input_ids'].shape[1] :].tolist()
    only = model.generate(**inputs, **NEW, prefix_allowed_tokens_fn=lambda batch, ids: [65])
    assert only[0, -6:].tolist() == [65] * 6
    guided = model.generate(**inputs, **NEW, guidance_scale=1.5, negative_prompt_ids=inputs['input_ids'][:, :4])
    assert guided.shape == greedy.shape


def test_a_draft_model_helps_text_and_is_refused_beside_pictures(model, inputs, greedy):
    draft = make_tiny(phantom=False)[0]
    text = model.config.llm_config
    plain = Qwen2ForCausalLM(Qwen2Config(**{**text, 'num_hidden_layers': 1, 'layer_types': None})).eval()
    for assistant in (draft, plain):
        if 'pixel_values' in inputs:
            with pytest.raises(ValueError, match='assistant_model: expected none beside pixel_values'):
                model.generate(**inputs, **NEW, assistant_model=assistant)
        else:
            assert torch.equal(model.generate(**inputs, **NEW, assistant_model=assistant), greedy)
    with pytest.raises(ValueError, match='assistant_early_exit: expected none'):
        model.generate(**inputs, **NEW, assistant_early_exit=1)


def test_batched_rows_equal_single_ones(tiny):
    model, processor = tiny
    questions, images = ['Short', 'A longer question with two'], [[], [picture(2, (150, 60)), picture(3)]]
    together = processor.encode_questions(questions, images)
    for given in ({}, {'num_beams': 2}):
        found = model.generate(**together, **NEW, **given)
        for row, (question, own) in enumerate(zip(questions, images, strict=True)):
            alone = model.generate(**processor.encode_questions([question], [own]), **NEW, **given)
            assert found[row, -6:].tolist() == alone[0, -6:].tolist()


def test_a_conversation_goes_on_from_its_cache(tiny):
    model, processor = tiny
    chat = [*asked('One?', picture(3)), {'role': 'assistant', 'content': [{'type': 'text', 'text': 'Yes'}]}, *asked('And now?')]
    whole = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors='pt')
    first = {**whole, 'input_ids': whole['input_ids'][:, :40], 'attention_mask': whole['attention_mask'][:, :40]}
    cache = model(**first, use_cache=True).past_key_values
    assert torch.equal(model.generate(**whole, **NEW, past_key_values=cache), model.generate(**whole, **NEW))


def test_the_pipeline_answers_messages_and_prompts(tmp_path, tiny):
    model, processor = tiny
    folder = save_tiny(tmp_path)
    picture(1).save(tmp_path / 'seen.png')
    pipe = pipeline('image-text-to-text', model=str(folder), device='cpu')
    expected = processor.decode(model.generate(**processor.encode_questions(['Hi'], [[picture(1)]]), **NEW)[0, -6:], skip_special_tokens=True)
    settings = {'return_full_text': False, 'generate_kwargs': dict(NEW)}
    for source in ({'image': picture(1)}, {'url': str(tmp_path / 'seen.png')}):
        messages = [{'role': 'user', 'content': [{'type': 'image', **source}, {'type': 'text', 'text': 'Hi'}]}]
        assert pipe(text=messages, **settings)[0]['generated_text'] == expected
    prompt = processor.apply_chat_template(asked('Hi', picture(1)), add_generation_prompt=True)
    assert pipe(images=picture(1), text=prompt, **settings)[0]['generated_text'] == expected
    both = pipe(text=[asked('Hi', picture(1)), asked('Text alone')], **settings)  # its own batch_size fails for any such model
    assert both[0][0]['generated_text'] == expected
    assert len(both) == 2


def test_a_saved_model_ends_its_answers_where_a_turn_ends(tmp_path, tiny):
    folder = save_tiny(tmp_path)
    saved = GenerationConfig.from_pretrained(folder)
    assert saved.eos_token_id == [tiny[1].tokenizer.convert_tokens_to_ids('<|im_end|>')]
    assert saved.pad_token_id == tiny[1].pad_id


def test_tiles_and_image_tokens_must_agree(tiny):
    """A prompt whose picture is left out would be answered as if it had been seen."""
    model, processor = tiny
    seen = processor.encode_questions(['What?', 'And here?'], [[picture(3)], [picture(2, (150, 60))]])
    tiles, text = seen['pixel_values'], processor.encode_questions(['What?'], [[]])
    blind = {name: value for name, value in seen.items() if name != 'pixel_values'}
    one = {name: value[:1] for name, value in blind.items()}
    typed = dict(processor.tokenizer('<IMG_CONTEXT>\nWhat?', return_tensors='pt'))  # not by the processor: one token, not a tile's
    for run in (model, lambda **given: model.generate(**given, **NEW), lambda **given: model.generate(**given, **NEW, use_cache=False)):
        for inputs in (blind, one, typed, {**seen, 'pixel_values': tiles[:0]}):
            with pytest.raises(ValueError, match=r'pixel_values: expected the tiles of \d+ image tokens .* found none'):
                run(**inputs)
        for inputs in (
            {**text, 'pixel_values': tiles},
            {**seen, 'pixel_values': tiles[:-1]},
            {**seen, 'pixel_values': torch.cat([tiles, tiles[:1]])},
            {**one, 'pixel_values': tiles},
        ):
            with pytest.raises(ValueError, match=r'expected \d+ image tokens for \d tiles, found \d+ of id'):
                run(**inputs)
        run(**text, pixel_values=tiles[:0])
        for wrong in (tiles[0], tiles[None]):
            with pytest.raises(ValueError, match=r'pixel_values: expected the tiles of the whole batch'):
                run(**{**seen, 'pixel_values': wrong})
        embedded = model.embed(seen['input_ids'], tiles)
        for more in ({}, {'input_ids': seen['input_ids']}):
            with pytest.raises(ValueError, match='inputs_embeds'):
                run(inputs_embeds=embedded, pixel_values=tiles, attention_mask=seen['attention_mask'], **more)


def test_an_image_token_that_the_model_writes_is_a_word(tiny):
    model, processor = tiny
    text = processor.encode_questions(['What?'], [[]])
    index = model.config.image_token_index
    for given in ({}, {'use_cache': False}, {'prompt_lookup_num_tokens': 3}, {'num_beams': 2}):
        found = model.generate(**text, **NEW, **given, prefix_allowed_tokens_fn=lambda batch, ids: [index])
        assert found[0, -6:].tolist() == [index] * 6
