"""The paper's 14 sources and 20 benchmarks as a user has them after the download, in small: every file, folder and quirk that
their cards on the Hub (recipes/phantom.yaml, `get_it`) and the loaders of others show.

`flat` is the one folder of the authors' README; otherwise each repository lies in a folder of its own name, archives as they were fetched.
"""

import io
import json
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from model.evaluation.request_lines import ASK_LETTER, ASK_WORD
from tests.pipelines.benches.test_items import PUBLISHED, put

LONG = 'mnt/petrelfs/wangwenhai/workspace_cef/4o/image'
SHORT = f'\n{ASK_WORD}'
ASKED = f'\n{ASK_LETTER}'
GEOMETRY = ('<image>\nReason it out, and end with the choice in the form Answer: xxx.\n'
            'Question:What is angle {}?\nChoices:\nA: 3{}°\nB: 41°')
MATHVISION = pa.schema([('id', pa.string()), ('question', pa.string()), ('options', pa.list_(pa.string())), ('image', pa.string()),
                        ('decoded_image', pa.struct([('bytes', pa.binary()), ('path', pa.string())])), ('answer', pa.string()),
                        ('solution', pa.string()), ('level', pa.int64()), ('subject', pa.string())])
BENCHMARKS = {  # as recipes/phantom.yaml names their folders
    'sqa': 'ScienceQA', 'ai2d': 'ai2d', 'chartqa': 'chartqa', 'seed': 'SEED-Bench', 'seed-2-plus': 'SEED-Bench-2-plus', 'pope': 'POPE',
    'hallusionbench': 'HallusionBench', 'mme': 'MME_Benchmark_release_version', 'mathvista': 'MathVista', 'mmbench': 'MMBench', 'mm-vet': 'mm-vet',
    'mm-vet-v2': 'mm-vet-v2', 'llava-w': 'llava-bench-in-the-wild', 'llava-wilder': 'LLaVA-Bench-Wilder', 'blink': 'BLINK', 'cv-bench': 'CV-Bench',
    'visualwebbench': 'VisualWebBench', 'mmstar': 'MMStar', 'mathverse': 'MathVerse'}


@dataclass
class Expected:
    """What a build must say of one source: records read, and how many of them are left out for which reason."""

    records: int = 0
    out: Counter = field(default_factory=Counter)


@dataclass
class PaperMix:
    """Writes the sources below `root`, `n` plain records each besides the odd ones; `draw` makes a picture from its name."""

    root: Path
    draw: Callable[[str], bytes]
    n: int = 12
    flat: bool = True
    expected: dict[str, Expected] = field(default_factory=dict)

    def write(self) -> 'PaperMix':
        """Write everything; return self."""
        for source in (self.sharegpt4o, self.sharegpt4v, self.minigemini, self.allava_text, self.smr, self.docowl, self.gllava, self.mathvision, self.text_only):
            source()
        for layout, folder in BENCHMARKS.items():
            put(self.root / 'eval' / folder, PUBLISHED[layout][0])
        return self

    def sharegpt4o(self) -> None:
        rows = [{'image': f'{i:04x}.jpg', 'width': 64, 'height': 64, 'conversations': talk('<image>\nDescribe the scene in detail.', caption(i))} for i in range(self.n)]
        rows.append({'image': 'not-in-the-zip.jpg', 'width': 1, 'height': 1, 'conversations': talk('<image>\nDescribe it.', caption(900))})
        self.expect('sharegpt4o', rows, IMAGE_MISSING=1)
        self.lines('image_conversations/gpt-4o.jsonl' if self.flat else 'ShareGPT-4o/image_conversations/gpt-4o.jsonl', rows)
        pictures = {f'{LONG}/{i:04x}.jpg': self.draw(f'4o-{i}') for i in range(self.n)}
        self.zipped('ShareGPT-4o/images.zip', pictures) if not self.flat else self.pictures('', pictures)

    def sharegpt4v(self) -> None:
        home, data = ('', '') if self.flat else ('ShareGPT4V/', 'ShareGPT4V/data/')
        folders = ('coco/train2017', 'llava/llava_pretrain/images/00012', 'wikiart/images', 'share_textvqa/images', 'web-celebrity/images', 'web-landmark/images')
        rows = [{'id': f'cap{i}', 'image': f'{folders[i % 6]}/{i:012d}.jpg', 'conversations': talk(
            '<image>\nWhat is this photo about?' if i % 2 else 'What goes on here?\n<image>', caption(100 + i))} for i in range(self.n)]
        for row in rows:  # the wikiart archive unpacks below data/
            self.pictures(data + ('data/' if row['image'].startswith('wikiart') else ''), {row['image']: self.draw(row['id'])})
        rows += [{'id': f'sa_{i}', 'image': f'sam/images/sa_{i}.jpg', 'conversations': talk('<image>\nWhat is this photo about?', caption(200 + i))} for i in range(3)]
        self.expect('sharegpt4v-caption', rows, RECORD_NOT_SELECTED=3)
        self.json(home + 'sharegpt4v_instruct_gpt4-vision_cap100k.json', rows)

        folders = ('gqa/images', 'ocr_vqa/images', 'textvqa/train_images', 'vg/VG_100K', 'vg/VG_100K_2', 'sam/images')
        rows = [{'id': f'ins{i}', 'image': f'{folders[i % 6]}/{i:07d}.jpg', 'conversations': talk(
            f'<image>\nHow many lamps stand in room {i}?{SHORT}', str(i), f'Which of them is lit?\nA. the left\nB. the right{ASKED}', 'B')} for i in range(self.n)]
        for row in rows:  # OCR-VQA comes as whatever the shop had
            self.pictures(data, {row['image'].replace('.jpg', '.png') if 'ocr_vqa' in row['image'] else row['image']: self.draw(row['id'])})
        rows += [{'id': 'wgByO4Y_0', 'model': '', 'conversations': talk('Write a haiku about autumn rain.', 'Rain on the red leaf, falling.', 'Another one.', 'Sure.')},
                 {'id': 'end', 'image': 'gqa/images/0000000.jpg', 'conversations': talk(f'Is the tall door of the barn open?{SHORT}\n<image>', 'No')},
                 {'id': 'ocr', 'image': 'ocr_vqa/images/gone.jpg', 'conversations': talk(f'<image>\nWho wrote this book about ships?{SHORT}', 'Ann Lee')}]
        self.expect('sharegpt4v-instruction', rows, IMAGE_MISSING=1)
        self.json(home + 'sharegpt4v_mix665k_cap23k_coco-ap9k_lcs3k_sam9k_div2k.json', rows)

    def minigemini(self) -> None:
        """Write the two files that hold ALLaVA's VFLAN rows and MiniGemini's four document sets."""
        tasks = [f'allava_vflan/images/images_191task_1k/PACS+guitar_{i}_n03272010_10795-5.{"png" if i % 2 else "jpg"}' for i in range(self.n)]
        captions = [{'id': f'allava_vflan_cap_{i}', 'image': f'ALLaVA-4V/{path}', 'conversations': talk('<image>\nHow would you describe the image?', caption(300 + i))}
                    for i, path in enumerate(tasks)]
        asked = [{'id': f'allava_vflan_inst_{i}', 'image': f'ALLaVA-4V/{path}', 'conversations': talk(f'<image>\nWhy is guitar number {i} drawn so?', caption(400 + i))}
                 for i, path in enumerate(tasks)]
        folders = ('docvqa/images', 'chartqa/train/images', 'dvqa/images', 'ai2d/images')
        documents = [{'id': f'doc{i}', 'image': f'{folders[i % 4]}/bar_train_{i:08d}.png', 'conversations': talk(f'<image>\nWhat value has bar {i}?{SHORT}', str(31 + i))}
                     for i in range(self.n)]
        documents[0]['image'] = [documents[0]['image']]
        others = [{'id': 'gqa', 'image': 'gqa/images/1.jpg', 'conversations': talk('<image>\nIs it night?', 'No')}, {'id': 'text', 'conversations': talk('Hello', 'Hi')}]
        pretrain = [{'id': '000', 'image': 'images/00000/1.jpg', 'conversations': talk('<image>\nDescribe.', 'A cat.')}, *captions]
        instruct = [*asked, *documents, *others]
        self.expect('allava-vflan', pretrain + instruct, RECORD_NOT_SELECTED=3 + len(documents))
        self.expect('minigemini', instruct, RECORD_NOT_SELECTED=2 + len(asked))
        self.json('minigemini_pretrain.json' if self.flat else 'MGM-Pretrain/mgm_pretrain.json', pretrain)
        self.json('minigemini_instruction.json' if self.flat else 'MGM-Finetune/mgm_instruction.json', instruct)
        self.pictures('ALLaVA-4V/' if self.flat else 'MGM-Pretrain/ALLaVA-4V/', {path: self.draw(path) for path in tasks})
        paths = [row['image'] if isinstance(row['image'], str) else row['image'][0] for row in documents]
        self.pictures('' if self.flat else 'MGM-Finetune/', {path: self.draw(path) for path in paths})

    def allava_text(self) -> None:
        rows = [{'idx': f'heR{i}vZB', 'conversations': talk(f'Explain rule {i} of this card game to a child.', caption(500 + i))} for i in range(self.n)]
        self.expect('allava-text', rows)
        self.json('Evol-Instruct-GPT4-Turbo-143K.json' if self.flat else 'ALLaVA-4V/allava_text/Evol-Instruct-GPT4-Turbo-143K.json', rows)

    def smr(self) -> None:
        folders = ('arxivqa/images', 'TextbookQA/train/question_images', 'TextbookQA/val/teaching_images')
        rows = [{'image': f'{folders[i % 3]}/2211.{i:05d}_2.jpg', 'conversations': talk(f'<image>\nWhat does curve {i} show?\nA) rise\nB. (B) fall', caption(600 + i))}
                for i in range(self.n)]
        self.pictures('' if self.flat else 'SMR/', {row['image']: self.draw(row['image']) for row in rows})
        rows += [{'image': f'{folder}/1.png', 'conversations': talk('<image>\nWhat?', 'So.')} for folder in ('MathVision/images', 'ai2d/images', 'tabmwp/images')]
        self.expect('smr', rows, RECORD_NOT_SELECTED=3)
        self.json('SMR.json' if self.flat else 'SMR/SMR.json', rows)

    def docowl(self) -> None:
        folders = ('DUE_Benchmark/DocVQA/pngs', 'DUE_Benchmark/InfographicsVQA/pngs', 'ChartQA', 'TextCaps', 'VisualMRC')
        rows = [{'image': [f'./imgs/{folders[i % 5]}/xnbl{i:04d}_1.png'], 'task_name': 'qa_sft', 'dataset_name': 'DocVQA',
                 'messages': said(f'<|image|>what is the date of letter {i}?', f'1/{i}/93')} for i in range(self.n)]
        drawn = {row['image'][0]: self.draw(row['image'][0]) for row in rows}
        self.pictures('', drawn) if self.flat else self.tarred('DocDownstream-1.0/imgs.tar', drawn)
        rows.append({'image': ['./imgs/TextVQA/gone.jpg'], 'task_name': 'qa_sft', 'dataset_name': 'TextVQA', 'messages': said('<|image|>what brand of clock is it?', 'dell')})
        self.expect('docdownstream', rows, IMAGE_MISSING=1)
        self.lines('train.jsonl' if self.flat else 'DocDownstream-1.0/train.jsonl', rows)
        rows = [{'image': [f'./imgs/ChartQA/r{i}.png'], 'task_name': 'qa_sft', 'dataset_name': 'ChartQA', 'messages': said(
            f'<|image|>Which year was best in plot {i}? Explain it at length.', caption(700 + i), 'And the worst?', '1999')} for i in range(self.n)]
        self.pictures('' if self.flat else 'DocReason25K/', {row['image'][0]: self.draw(row['image'][0]) for row in rows})
        self.expect('docreason', rows)
        self.lines('detailed_explanation.jsonl' if self.flat else 'DocReason25K/detailed_explanation.jsonl', rows)

    def gllava(self) -> None:
        names = [f'geoqa_plus/{i}.png' if i % 2 else f'geo3k/train/{i}/img_diagram.png' for i in range(max(1, self.n // 4))]  # each picture stands in many rows
        align = [{'image': names[i % len(names)], 'conversations': talk('Render a clear and concise description of the image.\n<image>', caption(800 + i))} for i in range(self.n)]
        tuning = [{'image': names[i % len(names)], 'conversations': talk(GEOMETRY.format(i, i), f'Since AB is parallel to CD, angle {i} is 41°.\nAnswer:B')} for i in range(self.n)]
        self.expect('gllava-align', align)
        self.expect('gllava-qa', tuning)
        drawn = {name: self.draw(name) for name in names}
        if self.flat:
            self.parquet('gllava_align.parquet', align)
            self.parquet('gllava_qa.parquet', tuning)
            self.pictures('', drawn)
        else:
            self.json('Geo170K/alignment.json', align)
            self.json('Geo170K/qa_tuning.json', tuning)
            self.zipped('Geo170K/images.zip', {f'images/{name}': data for name, data in drawn.items()})

    def mathvision(self) -> None:
        def row(i: int, question: str, **more: object) -> dict:
            base = {'id': str(i), 'options': [], 'image': f'images/{i}.jpg', 'answer': str(40 + i), 'solution': None, 'level': 2, 'subject': 'algebra'}
            return {**base, 'decoded_image': {'bytes': self.draw(f'vision{i}'), 'path': f'{i}.jpg'}, 'question': question, **more}

        rows = [row(i, f'How many cubes does tower {i} have?\n<image1>') for i in range(self.n)]
        rows += [row(1001, 'Which of <image1> and <image2> comes after the seventh mirror?', options=['one', 'two', 'three', 'four', 'five'], answer='B'),
                 row(1002, 'Which letter replaces the question mark here?\n<image1>', options=list('ABCDE'), answer='C', solution='We count the sides. '),
                 row(2673, 'How many digits has the number in the sketch?')]  # no mark, one picture
        self.expect('mathvision', rows)
        table = pa.Table.from_pylist(rows, MATHVISION)
        self.parquet('mathvision.parquet' if self.flat else 'MathVision/data/test-00000-of-00001-3532b8d3f1b4047a.parquet', table)
        if not self.flat:
            self.parquet('MathVision/data/testmini-00000-of-00001-f8ff70fcb2f29b1d.parquet', table.slice(0, 2))
        self.parquet('eval/MathVision/data/test-00000-of-00001.parquet', table.slice(0, 3))  # the positive control

    def text_only(self) -> None:
        kinds = (('data/CoT/gsm_train.json', 'The answer is {}'), ('data/PoT/aqua_rat_filtered.json', 'n = {}\nprint(n)'))
        rows = [{'source': kinds[i % 2][0], 'instruction': f'Ann has {i} pears and buys {i + 3} more. How many?', 'output': kinds[i % 2][1].format(2 * i + 3)} for i in range(self.n)]
        self.expect('mathinstruct', rows)
        self.json('MathInstruct.json' if self.flat else 'MathInstruct/MathInstruct.json', rows)
        rows = [{'instruction': f'Find the remainder of {i + 50} after division by 7.', 'output': f'We divide. The answer is {(i + 50) % 7}.'} for i in range(2 * self.n)]
        self.expect('mathplus', rows)  # `subset` is larger: all of them
        if self.flat:
            self.parquet('mathplus.parquet', rows)
        else:
            for part, half in enumerate((rows[: self.n], rows[self.n:])):
                self.parquet(f'MATH-plus/data/train-{part:05d}-of-00002.parquet', half)

    def expect(self, source: str, rows: list[dict], **out: int) -> None:
        self.expected[source] = Expected(len(rows), Counter(out))

    def path(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def json(self, name: str, rows: list[dict]) -> None:
        self.path(name).write_text(json.dumps(rows, ensure_ascii=False))

    def lines(self, name: str, rows: Iterable[dict]) -> None:
        self.path(name).write_text(''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in rows))

    def parquet(self, name: str, rows: pa.Table | list[dict]) -> None:
        pq.write_table(rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows), self.path(name))

    def pictures(self, folder: str, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            self.path(folder + name).write_bytes(data)

    def zipped(self, name: str, files: dict[str, bytes]) -> None:
        with zipfile.ZipFile(self.path(name), 'w') as archive:
            for member, data in files.items():
                archive.writestr(member, data)

    def tarred(self, name: str, files: dict[str, bytes]) -> None:
        with tarfile.open(self.path(name), 'w') as archive:
            for member, data in files.items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def talk(*texts: str) -> list[dict]:
    """Return ShareGPT turns, the human's first."""
    return [{'from': 'human' if i % 2 == 0 else 'gpt', 'value': text} for i, text in enumerate(texts)]


def said(*texts: str) -> list[dict]:
    """Return `messages`, the user's first."""
    return [{'role': 'user' if i % 2 == 0 else 'assistant', 'content': text} for i, text in enumerate(texts)]


def caption(i: int) -> str:
    """Return a sentence of its own for each number."""
    return f'A {("red", "blue", "green")[i % 3]} {("boat", "house", "bird", "lamp")[i % 4]} numbered {i} stands near the {("shore", "road")[i % 2]}, seen from the {i % 7} o\'clock side.'
