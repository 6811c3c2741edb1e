"""Which code this is: the package's version, and the git revision where the package is a checkout."""

import importlib.metadata
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def package_version() -> str:
    """Return the version that is installed, 'not installed' where the code merely lies there."""
    try:
        return importlib.metadata.version('phantom-curation')
    except importlib.metadata.PackageNotFoundError:
        return 'not installed'


def git_revision(root: Path = ROOT) -> str:
    """Return the revision of the checkout at `root`, '' where it is none: a wheel inside somebody's own repository has none of ours."""
    git = shutil.which('git')
    if git is None or not (root / '.git').exists():
        return ''
    described = subprocess.run([git, '-C', str(root), 'describe', '--always', '--dirty'], capture_output=True, text=True, check=False)
    return described.stdout.strip()
