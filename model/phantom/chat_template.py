"""The chat template of a checkpoint, in Jinja: it gives exactly the prompt of `prompt_pieces`, an image token where a picture stands.

transformers, vLLM and other programs read it from a folder's chat_template.jinja. Text is rendered as it is: whoever tokenises the rendered
prompt must know which of it was data (PhantomProcessor does), or a text that spells a special token ends a turn.
"""

import json

from model.phantom.tokens import IMAGE_TOKEN, ChatTemplate, Piece, Special

ROLES = ('system', 'user', 'assistant')


def jinja_template(template: ChatTemplate) -> str:
    """The template as Jinja; it raises on roles and parts of a message that the model was not trained on."""
    starts = ', '.join(f'{quoted(role)}: {quoted(spelled(template.start(role)))}' for role in ROLES)
    return _JINJA.format(
        starts=starts,
        image=quoted(IMAGE_TOKEN),
        end=quoted(template.turn_end),
        opened=quoted(spelled(template.assistant_start)),
    )


def spelled(pieces: tuple[Piece, ...]) -> str:
    """The characters of some pieces."""
    return ''.join(piece.token if isinstance(piece, Special) else piece for piece in pieces)


def quoted(text: str) -> str:
    """A string of Jinja's, which reads escapes as JSON does."""
    return json.dumps(text)


# `-%}` and `{%-` take away the line breaks of this file, in every setting of Jinja's own trimming.
_JINJA = """\
{{%- set starts = {{{starts}}} -%}}
{{%- for message in messages -%}}
    {{%- if message['role'] not in starts -%}}
        {{{{- raise_exception('expected the role system, user or assistant, found ' ~ message['role']) -}}}}
    {{%- endif -%}}
    {{{{- starts[message['role']] -}}}}
    {{%- if message['content'] is string -%}}
        {{{{- message['content'] -}}}}
    {{%- elif message['content'] is none -%}}
        {{{{- raise_exception('expected the content of a message, found none') -}}}}
    {{%- else -%}}
        {{%- for part in message['content'] -%}}
            {{%- if part['type'] in ['image', 'image_url'] -%}}
                {{{{- {image} -}}}}
            {{%- elif part['type'] == 'text' -%}}
                {{{{- part['text'] -}}}}
            {{%- else -%}}
                {{{{- raise_exception('expected parts of type image or text, found ' ~ part['type']) -}}}}
            {{%- endif -%}}
        {{%- endfor -%}}
    {{%- endif -%}}
    {{{{- {end} -}}}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}
    {{{{- {opened} -}}}}
{{%- endif -%}}
"""
