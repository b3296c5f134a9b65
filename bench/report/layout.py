"""What all pages share: one self-contained file, with the style sheets and the script in it."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.report.figures import CSS
from bench.report.svg import marker


def render(template: str, **values: object) -> str:
    """Fill in a template of this folder.

    Parameters
    ----------
    template : str
        Name of the file.
    **values : object
        What it shows; `title` among them.
    """
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["marker"] = marker
    return environment.get_template(template).render(
        css=(here / "page.css").read_text(encoding="utf-8") + CSS.read_text(encoding="utf-8"),
        script=(here / "page.js").read_text(encoding="utf-8"),
        **values,
    )
