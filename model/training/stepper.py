"""One optimiser step on this process's rows, the same whatever the number of processes and micro-batches."""

import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from model.phantom.build import quiet_transformers
from model.phantom.processor import PhantomProcessor
from model.training.adapters import FOLDER as ADAPTERS
from model.training.adapters import save_adapters
from model.training.branches import BranchBatch, EncodedRow
from model.training.bucket import split_micro, split_packs
from model.training.checkpoint import OPTIMIZER, TRAINED, read_optimizer, refuse_other_state
from model.training.lora import merged_weights
from model.training.losses import dpo_loss, po_terms
from model.training.packing import PackedBatch, answer_logps, make_batch
from model.training.processes import Processes
from model.training.quantize import halve_frozen
from model.training.readback import read_back, refuse_bad_numbers
from model.training.settings import STEP_1, TrainSettings
from schemas.errors import UserError


class Stepper:
    """Model and optimiser, and what one step does with them."""

    def __init__(
        self,
        model: torch.nn.Module,
        processor: PhantomProcessor,
        settings: TrainSettings,
        *,
        resume: Path | None,
        reference: torch.nn.Module | None = None,
        base: Callable[[], dict[str, Tensor]] | None = None,
    ):
        self.model, self.settings, self.processor, self.base = model, settings, processor, base
        state = read_optimizer(resume) if resume else None
        # Before days are spent on what no checkpoint may hold.
        refuse_bad_numbers({**model.state_dict(), 'optimiser': state}, str(resume or 'weights to start from'))
        if settings.torch_threads:
            torch.set_num_threads(settings.torch_threads)
        refuse_windows(model, settings)
        self.packing = settings.packing and not settings.compile  # of packs each has a length of its own, to be compiled anew
        self.trained = choose_trainable(model, settings)
        if settings.base_precision == 'bf16':
            halve_frozen(model)
        self.tensors = len(list(model.parameters()))
        if settings.gradient_checkpointing:
            model.gradient_checkpointing_enable()
        if settings.compile:
            for layer in model.language_model.model.layers:
                layer.compile()
        model.train()
        optimizer = torch.optim.AdamW(
            [parameter for parameter in model.parameters() if parameter.requires_grad],
            lr=settings.learning_rate,
            betas=settings.adam_betas,
            eps=settings.adam_eps,
            weight_decay=settings.weight_decay,
        )
        if resume:
            refuse_other_state(resume, state, optimizer)
        self.processes = Processes(settings)
        self.reference = reference and reference.eval().requires_grad_(False).to(self.processes.device)
        model.always_encode = self.processes.is_sharded  # shards are put together by all processes at once, so all must run the same parts
        self.micro_batches = math.ceil(settings.batch_rows / self.processes.world / settings.micro_batch_rows)
        self.processes.prepare(model, optimizer, state=state)

    def describe(self) -> str:
        """What trains, for people."""
        scope = 'all' if len(self.trained) == self.tensors else f'{len(self.trained)} of {self.tensors}'
        losses = (
            f'SFT + {self.settings.preference.upper()}'
            if self.settings.stage == 1 and self.settings.po_weight
            else 'SFT'
        )
        return f'step {self.settings.stage} ({losses}), {scope} tensors train, {self.processes.world} process(es)'

    def step(self, rows: list[EncodedRow], *, step: int, rate: float, paired: bool = True) -> dict[str, Any]:
        """One update from this process's rows at a learning rate; the record's numbers are of all processes.

        paired: whether rejected answers take part, where the rows have them.
        Raises UserError for a loss or gradient that is not finite: the weights stay as they were.
        """
        began = time.perf_counter()
        self.processes.set_rate(rate)
        paired = paired and self.settings.stage == 1
        if not paired:
            rows = [replace(row, answers=row.answers[:1]) for row in rows]
        # Known before the first backward, so that gradients do not depend on how rows are split.
        tokens, count, pictures = self.processes.sum(
            [sum(len(row.answers[0]) for row in rows), len(rows), sum(row.tiles is not None for row in rows)]
        )
        sums, norm, places = torch.zeros(4, dtype=torch.float64), None, 0
        if count:
            sums, places = self.accumulate(rows, tokens=tokens, count=count, paired=paired)
            if not pictures:
                self.forget_encoder()
        sft, po, margin, right, places, filled = self.processes.sum([*sums.tolist(), places, sum(len(row) for row in rows)])
        loss = (sft + self.settings.po_weight * po) if count else 0.0
        refuse_not_finite(loss, step, 'loss')
        if count:
            norm = self.processes.clip(self.settings.clip_norm)
            refuse_not_finite(norm, step, 'gradient')
            self.processes.update()
        seconds = time.perf_counter() - began
        return {
            'loss': loss,
            'sft': sft,
            'po': po if paired else None,
            'margin': margin if paired else None,  # mean avg logp+ - avg logp-, nats a token
            'accuracy': right if paired else None,  # share of rows with avg logp+ > avg logp-
            'lr': rate,
            'grad_norm': norm,
            'rows': int(count),
            'rows_per_s': count / seconds,
            'tokens_per_s': filled / seconds,
            'padding': 1 - filled / places if places else None,  # share of positions that hold no token
            'memory_mb': peak_memory_mb(),
        }

    def accumulate(self, rows: list[EncodedRow], *, tokens: float, count: float, paired: bool) -> tuple[Tensor, int]:
        """Gradients of the whole batch's loss; sums of SFT, PO, margin and right order, each over its count; positions computed."""
        sums, places = torch.zeros(4, dtype=torch.float64), 0
        most = self.settings.micro_batch_rows
        chunks = split_packs(rows, self.micro_batches) if self.packing else split_micro(rows, self.micro_batches, most=most)
        for index, chunk in enumerate(chunks):
            weight = 1.0
            if not chunk:  # every process takes part in every backward
                chunk, weight = [self.filler(paired)], 0.0
            with self.processes.accumulating(last=index == len(chunks) - 1):
                batch = make_batch(chunk, pad_id=self.processor.pad_id, packing=self.packing).to(self.processes.device)
                with self.autocast():
                    parts = self.parts(answer_logps(self.processes.model, batch), batch) * weight
                self.processes.backward(parts[0] / tokens + self.settings.po_weight * parts[1] / count)
            places += batch.input_ids.numel()
            scale = torch.tensor([tokens, count, count, count], dtype=torch.float64)
            sums += parts.detach().cpu().double() / scale
        return sums, places

    def forget_encoder(self) -> None:
        """No gradients for what only pictures reach: with zeros, which shards leave there, Adam would count a step."""
        for name, parameter in self.model.named_parameters():
            if name.startswith(('vision_model.', 'vision_proj.')):
                parameter.grad = None

    def autocast(self) -> torch.autocast:
        """bfloat16 arithmetic over float32 weights, where the settings want it."""
        half = self.settings.precision == 'bf16'
        return torch.autocast(self.processes.device.type, dtype=torch.bfloat16, enabled=half)

    def parts(self, logps: Tensor, batch: BranchBatch | PackedBatch) -> Tensor:
        """Sums float[4] over the rows: SFT nll, preference loss, margin, right order (the last three 0 without rejected answers)."""
        chosen = -logps[:, 0].sum()
        if logps.shape[1] == 1:
            return torch.stack([chosen, *[chosen.new_zeros(())] * 3])
        po, margin = po_terms(logps, batch.targets, beta=self.settings.beta, gamma=self.settings.gamma)
        if self.reference is not None:
            with torch.no_grad():
                reference = answer_logps(self.reference, batch)
            sums = (*logps.sum(-1).unbind(1), *reference.sum(-1).unbind(1))
            po = dpo_loss(*sums, beta=self.settings.dpo_beta)
        return torch.stack([chosen, po.sum(), margin.sum(), (margin > 0).sum().to(po.dtype)])

    def filler(self, paired: bool) -> EncodedRow:
        """A row to run where a process has too few; it weighs nothing."""
        end = tuple(self.processor.encode_answer([]))
        return EncodedRow(end, (end,) * (2 if paired else 1), None)

    def write(self, folder: Path, *, weights: dict[str, Tensor], optimizer: dict[str, Any], where: str) -> None:
        """Model (adapters merged in), tokenizer, trained weights as they stand and optimiser state into a folder, all of it read back.

        Raises UserError, before a byte is written, for weights or a state that are not finite, and for files that hold anything else.
        """
        refuse_bad_numbers({**weights, 'optimiser': optimizer}, where)
        trained = {name: weights[name].contiguous() for name in self.trained} if self.settings.lora_rank else {}
        if trained:
            sizes = {'rank': self.settings.lora_rank, 'alpha': self.settings.lora_alpha}
            save_adapters(folder / ADAPTERS, self.model, weights, trained=self.trained, **sizes)
            if self.base:  # adapters go onto the weights as they were, which needs no way back from 8 or 4 bits
                weights = {**self.base(), **trained}
            weights = merged_weights(self.model, weights)
            refuse_bad_numbers(weights, where)
            save_file(trained, folder / TRAINED)
        # A tied head is saved once, also where gathering made two of it; the other name is the loader's to tie.
        weights = {name: tensor for name, tensor in weights.items() if name not in self.model.all_tied_weights_keys}
        with quiet_transformers():
            # One layout whatever was loaded: the names that a backbone has in its own files would be lost on everyone else.
            self.model.save_pretrained(folder, state_dict=dict(weights), save_original_format=False)
        self.processor.save_pretrained(folder)
        try:
            torch.save(optimizer, folder / OPTIMIZER)
        except RuntimeError as e:  # how torch says that a disk is full
            raise OSError(f'{OPTIMIZER} could not be written: {e}') from e
        read_back(folder, weights, trained, optimizer, where=where)


def refuse_not_finite(value: float, step: int, what: str) -> None:
    """Raises a UserError for NaN or infinity."""
    if not math.isfinite(value):
        raise UserError(
            f'step {step}: expected a finite {what}, found {value}; the last good checkpoint stands: '
            'start anew with a lower learning_rate, a lower clip_norm or a longer warmup_ratio'
        )


def refuse_windows(model: torch.nn.Module, settings: TrainSettings) -> None:
    """Raises a UserError where rows could outgrow a sliding window, which the answers' mask knows nothing of."""
    window = getattr(model.language_model.model.config, 'sliding_window', None)
    if window and settings.max_length > window:
        raise UserError(f'max_length: expected at most the sliding window of {window}, found {settings.max_length}')


def peak_memory_mb() -> float:
    """Most memory this process has held: of the GPU where there is one, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == 'darwin' else 2**10)  # bytes on macOS, KiB on Linux


def choose_trainable(model: torch.nn.Module, settings: TrainSettings) -> list[str]:
    """Freezes what the settings do not name; the names of what is left to train."""
    everything = 'all' in settings.trainable
    parts = (*settings.trainable, 'lora_') if settings.lora_rank else settings.trainable
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(everything or any(part in name for part in parts))
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not names:
        raise UserError(f'trainable: expected parts of parameter names, found none that match {settings.trainable}')
    known = {*STEP_1, 'all'}  # a model without phantom parts, or with a fixed eta, has not all of STEP_1
    unmet = [part for part in settings.trainable if part not in known and not any(part in name for name in names)]
    if unmet:
        raise UserError(f'trainable: expected parts of parameter names, found {unmet} in none; the names are those of model.safetensors')
    return names
