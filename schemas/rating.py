"""How the answers that came with the sources are rated: by which models, after what they are asked, and below which rating a sample is left out."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from schemas.own_prompt import FileName, JudgePrompt, choices_of
from schemas.section import Fraction, Section

CORRECT, NEEDS_PICTURE, ANSWERS_QUESTION, WELL_FORMED = 'correct', 'needs_picture', 'answers_the_question', 'well_formed'
BUILT_IN = (CORRECT, NEEDS_PICTURE, ANSWERS_QUESTION, WELL_FORMED)
RATINGS_FILE = 'ratings/ratings.parquet'  # in a sealed mix: all that was rated
MEASURED = (CORRECT, ANSWERS_QUESTION)  # those that a wrong answer should fail: planted cases tell how well a model rates them


def _built_in(value: object) -> object:
    if value not in BUILT_IN:
        raise ValueError(f'expected one of {", ".join(BUILT_IN)}, or {{name: safe, file: prompts/safe.md}} for a question of your own, '
                         f'found {str(value)[:80]!r}')
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str | dict | OwnQuestion) else value


class OwnQuestion(Section):
    """A question in a file beside the recipe, with {question}, {answer}, {context} and {images}; rated by how likely the first choice is."""

    name: str = Field(pattern=r'^[a-z][a-z0-9_]*$', max_length=40)
    """What rows, cards and `rate.drop` call the question."""
    file: FileName = Field(min_length=1)
    """The text file, beside the recipe."""
    text: str = ''
    """What the file holds; it is read when the recipe is, so that the manifest says what was asked."""
    system: FileName = ''
    """Another file, for the system message in front."""
    system_text: str = ''
    """What that file holds; it is read when the recipe is."""
    choices: Annotated[tuple[str, ...], Field(max_length=2)] = ()
    """[yes, no], of which the first is rated; none: Yes and No."""

    @model_validator(mode='before')
    @classmethod
    def _is_a_prompt(cls, value: Any) -> Any:
        if isinstance(value, dict):
            JudgePrompt.model_validate({key: found for key, found in value.items() if key != 'name'})  # words of its own faults
        return value

    @model_validator(mode='after')
    def _can_be_asked(self) -> Self:
        faults = self.prompt.faults_for('rate')
        if self.name in BUILT_IN:
            faults.append(f'name: expected another one than {", ".join(BUILT_IN)}, which are built in, found {self.name!r}')
        if faults:
            raise ValueError('; '.join(faults))
        return self

    @property
    def prompt(self) -> JudgePrompt:
        """Its words as those of a judge."""
        return JudgePrompt(file=self.file, text=self.text, system=self.system, system_text=self.system_text, choices=self.choices)

    def placeless(self) -> Self:
        """Return it without where its files lie."""
        prompt = self.prompt.placeless()
        return self.model_copy(update={'file': prompt.file, 'system': prompt.system})


Questions = Literal['correct', 'needs_picture', 'answers_the_question', 'well_formed']
BuiltIn = Annotated[Questions, BeforeValidator(_built_in, json_schema_input_type=Questions)]


def _which_question(value: object) -> str:
    return '<own>' if isinstance(value, dict | OwnQuestion) else '<preset>'


Asked = Annotated[Annotated[BuiltIn, Tag('<preset>')] | Annotated[OwnQuestion, Tag('<own>')], Discriminator(_which_question)]


class FromCalibration(Section):
    """A threshold that planted cases choose, in each source: the one that finds most while so large a share of what it leaves out is wrong."""

    precision: float = Field(gt=0, lt=1)
    """So large a share of what is left out is wrong, by planted cases."""


def _which_threshold(value: object) -> str:
    return '<precision>' if isinstance(value, dict | FromCalibration) else '<number>'


Threshold = Annotated[
    Annotated[float, Tag('<number>')] | Annotated[FromCalibration, Tag('<precision>')], Discriminator(_which_threshold)]


class Rate(Section):
    """How samples are rated; ratings are stored, thresholds are applied afterwards. A sample nobody rated is kept. docs/ratings.md

    Ratings are probabilities: how likely the model says Yes. That of `needs_picture` is in nats per token: by how much the picture makes the answer
    likelier than the question alone does.
    """

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False, serialize_by_alias=True)

    model: Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])] = []
    """Models of `models:`; of several each gives an opinion, and a sample is left out where all that rated it are below the threshold."""
    ask: Annotated[list[Asked], BeforeValidator(_listed, json_schema_input_type=Asked | list[Asked])] = ['correct']
    """The questions: built-in ones, or {name: safe, file: prompts/safe.md} for one of your own; docs/ratings.md."""
    from_: Annotated[list[FileName], BeforeValidator(_listed, json_schema_input_type=str | list[str])] = Field([], alias='from')  # a word of Python
    """Files of ratings (Parquet: sample_id, ask, score, by), such as `phantom rate` writes; they lie beside the recipe."""
    max_samples: dict[str, Annotated[int, Field(ge=0, le=2**53)]] = {}
    """source -> samples that models rate, lowest id hash first."""
    claims: bool = False
    """Rate long answers by statement: `correct` is the share of its statements that the model holds for right."""
    drop: dict[str, Threshold] = {}
    """question -> leave out what is rated below: a number, or {precision: 0.95} for the threshold that planted cases choose; none: flag only."""
    max_failed: Fraction = 0.02
    """Share of its calls that may fail for good, as of a generator."""

    @model_validator(mode='after')
    def _can_be_rated(self) -> Self:
        if faults := list(self._faults()):
            raise ValueError('; '.join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        if not self.model and not self.from_:
            yield 'expected `model:` (who rates) or `from:` (files of ratings), found neither'
        names = [name_of(ask) for ask in self.ask]
        for what, values in (('model', self.model), ('ask', names), ('from', self.from_)):
            if twice := sorted({value for value in values if values.count(value) > 1}):
                yield f'{what}: expected each once, found {", ".join(twice)} twice'
        if self.model and not self.ask:
            yield f'ask: expected at least one question, such as {CORRECT}, found none'
        if self.claims and not (self.model and CORRECT in names):
            yield f'claims: expected {CORRECT} among the questions that a model is asked, found it nowhere'
        for name, threshold in self.drop.items():
            if name not in names and not self.from_:
                yield f'drop.{name[:80]}: expected one of the questions asked, {", ".join(names)}, found another'
            if isinstance(threshold, float) and not self.from_ and name in names and name != NEEDS_PICTURE and not 0 <= threshold <= 1:
                yield f'drop.{name}: expected a probability from 0 to 1, found {threshold:g}'
            if isinstance(threshold, FromCalibration) and not (self.model and name in names and name in MEASURED):
                yield (f'drop.{name[:80]}: expected a number, since planted cases measure {" and ".join(MEASURED)} as a model rates them and nothing '
                       'else, found {precision: ...}')

    @property
    def built_in(self) -> list[str]:
        """The questions that come with the package."""
        return [ask for ask in self.ask if isinstance(ask, str)]

    @property
    def own(self) -> list[OwnQuestion]:
        """The questions that the recipe brings."""
        return [ask for ask in self.ask if isinstance(ask, OwnQuestion)]

    def placeless(self) -> 'Rate':
        """Return it without where its files lie; those of `from` are known by their bytes."""
        asked = [ask.placeless() if isinstance(ask, OwnQuestion) else ask for ask in self.ask]
        return self.model_copy(update={'ask': asked, 'from_': []})


def name_of(ask: str | OwnQuestion) -> str:
    """Return what rows call a question."""
    return ask if isinstance(ask, str) else ask.name


def words_of(ask: str | OwnQuestion) -> tuple[str, str]:
    """Return the two words that a question may be answered with, the first of which its rating is the probability of."""
    return choices_of('yes_no', None if isinstance(ask, str) else ask.prompt)
