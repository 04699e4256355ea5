"""A hook of MkDocs: the pages of the site are files of the repository, at their paths in it.

So a link between them is the same in the repository and on the site.
"""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
SHOWN = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"),
    *(
        "docs/**/*.md",
        "docs/**/*.png",
        "docs/site.css",
        "docs/notebooks/*.ipynb",
        "benchmarks/results/*.md",
        "benchmarks/results/*.png",
    ),
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    for path in sorted(path for pattern in SHOWN for path in ROOT.glob(pattern)):
        name = path.relative_to(ROOT).as_posix()
        files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    return files
