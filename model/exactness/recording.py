"""The tensors inside one forward pass, under the goldens' names."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from model.phantom.attention import PhantomAttention, take_position
from model.phantom.cache import SosLocation, SosTables
from model.phantom.modeling import PhantomForConditionalGeneration


@contextmanager
def recording(model: PhantomForConditionalGeneration) -> Iterator[dict[str, Tensor]]:
    """Tensors of the next forward under the goldens' names."""
    seen: dict[str, Tensor] = {}
    decoder = model.language_model.model
    hooks = [
        model.vision_model.register_forward_hook(keep(seen, 'vit_last')),
        model.vision_proj.register_forward_hook(keep(seen, 'vit_embeds')),
        decoder.norm.register_forward_hook(keep(seen, f'hidden.{len(decoder.layers)}')),
        decoder.layers[0].register_forward_pre_hook(keep_input(seen)),
    ]
    for index, layer in enumerate(decoder.layers):
        hooks.append(layer.register_forward_hook(keep(seen, f'layer_out.{index}')))
        hooks.append(attention_of(layer).register_forward_hook(keep(seen, f'attn_out.{index}')))
    attention = attention_of(decoder.layers[0])
    if attention.phantom:
        record_layer(
            attention, seen, repeats=1 if model.config.decoder_type == 'internlm2' else attention_groups(model)
        )
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
        for name in ('widen', 'merge', 'sos_tables'):
            vars(attention).pop(name, None)


def attention_of(layer: nn.Module) -> nn.Module:
    """The attention of a decoder layer, under either released name."""
    return layer.attention if hasattr(layer, 'attention') else layer.self_attn


def keep(seen: dict[str, Tensor], name: str) -> Callable:
    """A forward hook that stores the output."""

    def hook(_module: nn.Module, _inputs: tuple, output: Tensor | tuple) -> None:
        seen[name] = output[0] if isinstance(output, tuple) else output

    return hook


def keep_input(seen: dict[str, Tensor]) -> Callable:
    """A forward pre-hook that stores the embeddings."""

    def hook(_module: nn.Module, inputs: tuple) -> None:
        seen['inputs_embeds'] = seen['hidden.0'] = inputs[0]

    return hook


def attention_groups(model: PhantomForConditionalGeneration) -> int:
    """Query heads a key-value head."""
    text = model.language_model.model.config
    return text.num_attention_heads // text.num_key_value_heads


def record_layer(attention: PhantomAttention, seen: dict[str, Tensor], *, repeats: int) -> None:
    """Stores layer 0's internals; the reference repeats kv heads before Phantom, but for InternLM2."""
    plain = type(attention)

    def put(name: str, states: Tensor, times: int = 1) -> None:
        seen[f'l0.{name}'] = states.repeat_interleave(times, dim=1).transpose(1, 2)

    def sos_tables(query: Tensor, key: Tensor, value: Tensor, *, cache: None, sos: SosLocation) -> SosTables:
        for name, states, times in (('query', query, 1), ('key', key, repeats), ('value', value, repeats)):
            put(f'{name}_sos', take_position(states, sos.index)[:, :, None], times)
        return plain.sos_tables(attention, query, key, value, cache=cache, sos=sos)

    def widen(query: Tensor, key: Tensor, value: Tensor, tables: SosTables) -> tuple[Tensor, Tensor, Tensor]:
        wide = plain.widen(attention, query, key, value, tables)
        for name, states, times in zip(('query', 'key', 'value'), wide, (1, repeats, repeats), strict=True):
            first, second = states.split(attention.head_dim, dim=-1)
            put(name, first, times)
            put(f'{name}_phantom', first + attention.eta * second if name == 'value' else second, times)
        return wide

    def merge(first: Tensor, second: Tensor, out_proj: nn.Module) -> Tensor:
        half2 = first + attention.eta * second
        seen['l0.half1'], seen['l0.half2'] = first, half2
        seen['l0.gate_logit1'] = attention.gating_phantom_1(first)
        seen['l0.gate_logit2'] = attention.gating_phantom_2(half2)
        return plain.merge(attention, first, second, out_proj)

    attention.sos_tables, attention.widen, attention.merge = sos_tables, widen, merge
