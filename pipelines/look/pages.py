"""HTML pages from the templates beside this file: what is filled in is text, whatever it looks like."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: object) -> str:
    """Return the page of a template; a value it names and does not get is a fault."""
    loader = PackageLoader('pipelines.look', '.')
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    return pages.get_template(template).render(values)
