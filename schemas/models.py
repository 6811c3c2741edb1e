"""The models of a recipe: where each answers and what it is, what one is asked for wrong answers, and how another judges them."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from schemas.own_prompt import PRESETS, GeneratorPrompt, JudgePrompt, choices_of, named_by_file, placeless_prompt, which_prompt
from schemas.section import Count, Fraction, Section

PICKLES = ('auto', 'hf', 'pt', 'npcache')  # vLLM's load formats that may read pickles, whose reading may run code
NO_OPTIONS = ('trust_remote_code', 'code_revision', 'worker_cls', 'worker_extension_cls', 'logits_processors', 'tool_parser_plugin')


def _sorted(value: object) -> object:
    return tuple(sorted(set(value))) if isinstance(value, list | tuple) and all(isinstance(token, str) for token in value) else value


def _is_empty(value: object) -> bool:
    return not value


ControlToken = Annotated[str, Field(min_length=2, max_length=200)]


class Resources(Section):
    """What of a node of a Ray cluster a process takes that runs a model in itself: a place in which it is asked, of which no reply depends."""

    num_gpus: float = Field(0, ge=0, le=1024)
    """GPUs; a fraction shares one, above 1 whole ones."""
    num_cpus: float = Field(1, gt=0, le=4096)
    """CPU cores."""

    @field_validator('num_gpus', 'num_cpus')
    @classmethod
    def _as_ray_counts(cls, n: float) -> float:
        if n > 1 and not n.is_integer():
            raise ValueError(f'expected a fraction of one, or a whole number, found {n:g}')
        return n


class Model(Section):
    """A language model to ask. The URL is where it answers; name and revision are what it is."""

    backend: Literal['openai', 'vllm', 'openai-batch'] = 'openai'
    """openai: a server that speaks OpenAI's protocol; vllm: in the build's own process; openai-batch: files of requests; docs/models.md."""
    base_urls: list[str] = []
    """Where it answers: addresses such as http://localhost:8000/v1; several servers of one model share the calls."""
    model: str
    """What it is: the name by which the server knows it, or of `vllm` its folder or name on the Hub."""
    revision: str
    """Which state of it: part of every reply's key, so that replies of another are never used."""
    api_key_env: str = Field('OPENAI_API_KEY', pattern=r'^[A-Za-z_][A-Za-z0-9_]*$')
    """The environment variable that holds its key; the key itself is never written anywhere."""
    serve: Literal['demo'] | None = None
    """demo: the build starts and stops the packaged demo server at base_urls[0]."""
    images: bool = False
    """Whether it can see."""
    engine: dict[str, str | int | float | bool] = {}
    """Of `vllm`: options of the in-process engine (dtype, max_model_len, ...); none by which a model's own code would run."""
    resources: Resources | None = Field(None, exclude_if=_is_empty)
    """Of `vllm` with `--ray`: what each process takes that runs the model; there are as many as the cluster has room for."""
    concurrency: int = Field(256, ge=1, le=1024)
    """Calls in flight at the most; a build starts with 4 and finds how many the server bears."""
    timeout_s: float = Field(120, gt=0)
    """Seconds without a byte of a reply; one that comes piece by piece may take as long as it grows. Three in a row without any answer (two minutes
    at least) end the step with exit code 4.
    """
    stream: bool = True
    """Whether replies of 32 tokens and more may be asked for piece by piece; like concurrency and timeout_s no part of a reply's key."""
    max_retries: int = Field(5, ge=0)
    """Further tries at a call that failed in passing; waits for room (429) are not among them."""
    control_tokens: Annotated[tuple[ControlToken, ...], BeforeValidator(_sorted, json_schema_input_type=tuple[ControlToken, ...])] = Field(
        (), exclude_if=_is_empty)
    """Control tokens of the served model that are of no known family (the first look names them): in what sources and models wrote they are sent as
    plain text, as all others are.
    """
    image_files: str = ''
    """A folder the server may read (vLLM: --allowed-local-media-path): pictures go there as file://, not as data URLs."""
    max_image_px: int = Field(1344, ge=28)
    """Pixels of a picture's longer side, at most; a longer one is resized once before it is sent."""
    thinking_tokens: int = Field(0, ge=0)
    """Of a model that thinks before it answers: tokens for its thoughts, on top of a prompt's max_tokens."""
    price_prompt: float = Field(0, ge=0)
    """Money per million prompt tokens."""
    price_completion: float = Field(0, ge=0)
    """Money per million completion tokens."""

    @field_validator('base_urls')
    @classmethod
    def _without_blanks(cls, urls: list[str]) -> list[str]:
        return [url.strip() for url in urls]

    @field_validator('engine')
    @classmethod
    def _without_code(cls, engine: dict) -> dict:
        for name in NO_OPTIONS:
            if engine.get(name):
                raise ValueError(f"{name}: expected no option by which a model's own code would run in this process, found it; serve the model "
                                 'yourself and name it in base_urls')
        if str(engine.get('load_format')) in PICKLES:
            raise ValueError(f'load_format: expected one that reads no pickles (safetensors, gguf, ...), found {engine["load_format"]}')
        return engine

    @model_validator(mode='after')
    def _answers_somewhere(self) -> 'Model':
        for url in self.base_urls:
            _check_url(url)
        if self.resources and self.backend != 'vllm':
            raise ValueError(f'resources: expected backend vllm beside it, found {self.backend}: a server has its devices already')
        if self.serve and not self.base_urls:
            raise ValueError("serve: expected base_urls beside it, such as ['http://127.0.0.1:8011/v1'], found none")
        return self


def _check_url(url: str) -> None:
    """Raise ValueError for what is no plain address. The URL is not repeated: it goes into manifests, so it may hold no key."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme in ('http', 'https') and parts.hostname and (parts.port is None or parts.port)
        plain = plain and url.isprintable() and ' ' not in url
    except ValueError:
        plain = False
    if not plain:
        raise ValueError('base_urls: expected addresses such as http://localhost:8000/v1, found something else')
    if '@' in parts.netloc or parts.query or parts.fragment:
        raise ValueError('base_urls: expected an address without name, password or query, found one with; a key belongs into the variable '
                         'that api_key_env names')


def _preset(value: object) -> object:
    if value not in PRESETS:
        raise ValueError(f'expected one of {", ".join(PRESETS)}, or {{file: prompts/mine.md}} for a prompt of your own, found {str(value)[:80]!r}')
    return value


Presets = Literal['rules', 'paper', 'grounded', 'mistakes', 'wrong_labels']
Preset = Annotated[Presets, BeforeValidator(_preset, json_schema_input_type=Presets)]
WRONG_LABELS = 'wrong_labels'
UNASKED = ('rules', WRONG_LABELS)  # no model is asked for a wrong answer


def _is_none(value: object) -> bool:
    return value is None


class Generator(Section):
    """One way to propose wrong answers."""

    prompt: Annotated[Annotated[Preset, Tag('<preset>')] | Annotated[GeneratorPrompt, Tag('<own>')], Discriminator(which_prompt)]
    """A preset, or {file: prompts/mine.md} for a text of your own beside the recipe; docs/models.md says what each asks for."""
    model: str | None = None
    """The model of `models:` that is asked; none for `rules` and `wrong_labels`."""
    sources: list[str] = []
    """Sources it proposes for; empty: all."""
    per_sample: int = Field(1, ge=1, le=16)
    """Wrong answers for each sample."""
    max_samples: Count | None = None
    """Samples it proposes for, over all its sources, lowest id hash first; null: all."""
    max_tokens: Count = 256
    """Tokens of a reply, at most."""
    temperature: float = Field(0.0, ge=0)
    """Of the model's draw; 0 takes the likeliest word each time."""
    max_failed: Fraction = 0.02
    """Share of its calls that may fail for good (SERVER_FAILED); one always may, unless it is 0. More keep a build from being sealed (exit code 4).
    2 % is a choice of ours: a broken picture or an overlong question now and then, not a server that fails.
    """
    below: Fraction | None = Field(None, exclude_if=_is_none)
    """Of `wrong_labels`: an answer that is rated below this by all that rated it is taken for wrong; null: 0.05."""
    sure: Fraction | None = Field(None, exclude_if=_is_none)
    """Of `wrong_labels`: the answer that the rater holds for right in its place counts from this probability on; null: 0.9."""

    @model_validator(mode='after')
    def _can_propose(self) -> 'Generator':
        if (self.prompt in UNASKED) == (self.model is not None):
            raise ValueError("'rules' takes no model, nor does 'wrong_labels'; 'paper', 'grounded', 'mistakes' and a prompt of your own need one")
        if self.prompt == WRONG_LABELS:
            if self.per_sample != 1:
                raise ValueError(f"per_sample: expected 1 for 'wrong_labels', which takes the labels that there are, found {self.per_sample}")
        elif self.below is not None or self.sure is not None:
            raise ValueError(f"below, sure: expected with prompt 'wrong_labels' alone, found with {str(self.name)[:80]!r}")
        return self

    @property
    def own(self) -> GeneratorPrompt | None:
        """The prompt that the recipe brings itself, None where it is a preset."""
        return self.prompt if isinstance(self.prompt, GeneratorPrompt) else None

    @property
    def name(self) -> str:
        """What rows and ids call it."""
        return self.own.name if self.own else str(self.prompt)

    @property
    def sees(self) -> bool:
        """Whether its prompt shows the pictures, to a model that can see."""
        return self.own is not None or self.prompt in ('grounded', 'mistakes')

    @property
    def kinds(self) -> tuple[str, ...]:
        """The keys of the JSON object that it asks for; none: a reply is one answer."""
        if self.own:
            return self.own.kinds if self.own.answers == 'json' else ()
        return ('incorrect', 'ambiguous') if self.prompt == 'grounded' else ()

    def placeless(self) -> 'Generator':
        """Return it without where the file of its prompt lies."""
        return placeless_prompt(self)


class JudgeWays(Section):
    """What any judge has: a mode and, perhaps, words of one's own for it."""

    mode: Literal['likelihood', 'yes_no', 'pairwise', 'paper'] = 'likelihood'
    """likelihood: which answer is likelier, the model writes nothing; yes_no: is this answer right; pairwise: which of two; paper: the paper's
    question, from text alone.
    """
    # left out where there is none, so that what was judged without stays as it was
    prompt: Annotated[JudgePrompt | None, BeforeValidator(named_by_file, json_schema_input_type=JudgePrompt | None)] = Field(
        None, exclude_if=_is_none)
    """{file: prompts/mine.md}: a text of your own beside the recipe, in place of the words that come with the mode; docs/models.md."""

    @model_validator(mode='after')
    def _can_be_judged_by(self) -> Self:
        if self.prompt is None:
            return self
        if self.mode == 'likelihood':
            raise ValueError('prompt: expected mode yes_no, pairwise or paper beside it, found likelihood, which asks nothing: the model scores the '
                             'answers where they stand, and no words can be put around them')  # fmt: skip
        if faults := self.prompt.faults_for(self.mode):
            raise ValueError('; '.join(f'prompt: {fault}' for fault in faults))
        return self

    @property
    def sees(self) -> bool:
        """Whether what it asks shows the pictures, to a model that can see."""
        return self.prompt is not None or self.mode != 'paper'

    @property
    def choices(self) -> tuple[str, str]:
        """The two words that it may answer with."""
        return choices_of(self.mode, self.prompt)

    @property
    def way(self) -> str:
        """What rows and cards call its way to judge: the mode, and the prompt where it is not ours."""
        return f'{self.mode}, {self.prompt.name}' if self.prompt else self.mode


class SecondJudge(JudgeWays):
    """Another model that scores the same candidates; whether it agrees is stored with every triple."""

    model: str
    """The model of `models:` that judges, too."""
    mode: Literal['likelihood', 'yes_no', 'pairwise', 'paper'] = 'yes_no'
    """As of the first judge."""
    margin: float = 0.0
    """It agrees above this score."""
    must_agree: bool = False
    """Reject what it does not score above its margin (JUDGES_DISAGREE)."""
    max_failed: Fraction = 0.02
    """Share of its calls that may fail for good, as of a generator."""


class Judge(JudgeWays):
    """How candidates are judged; scores are stored, the margin is applied afterwards."""

    model: str | None = None
    """The model of `models:` that judges; none: only sources with `answers: exact` give triples."""
    margin: float = 0.0
    """Keep a candidate only above this score (likelihood: nats per token)."""
    second: SecondJudge | None = None
    """Another model that scores the same candidates."""
    max_length_ratio: float = Field(10.0, ge=1)
    """Characters of the longer answer divided by those of the shorter, at most (LENGTH_RATIO)."""
    max_failed: Fraction = 0.02
    """Share of its calls that may fail for good, as of a generator."""

    def placeless(self) -> 'Judge':
        """Return it without where the files of its prompts lie."""
        second = placeless_prompt(self.second) if self.second else None
        return placeless_prompt(self).model_copy(update={'second': second})
