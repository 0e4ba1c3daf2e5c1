"""The API's page in the docs, from the code: `python -m page.api > docs/api.md`.

Takes the named endpoints of the Gradio blocks; gives Markdown.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from index import Index
from page.blocks import blocks
from page.desks import Desks

HEAD = """# The API

Made from the code: `python -m page.api > docs/api.md`. Every endpoint is called by name with `gradio_client`, or over HTTP at
`/gradio_api/call/NAME` as the README shows; arguments that are left out have their defaults. Beside them: `GET /documents/ID` gives a
document's text and `/?doc=ID&start=…&end=…` opens it at a quote.
"""


def markdown() -> str:
    """A section an endpoint: what it does, its arguments, what it gives."""
    with TemporaryDirectory() as place, Index(Path(place) / "index", create=True) as index:
        desks = Desks(index)
        info = blocks(desks).get_api_info()
        desks.close()
    assert isinstance(info, dict)
    return HEAD + "".join(_section(name, endpoint) for name, endpoint in sorted(info["named_endpoints"].items()))


def _section(name: str, endpoint: dict[str, Any]) -> str:
    rows = ""
    for given in endpoint["parameters"]:
        default = f"`{given['parameter_default']!r}`" if given["parameter_has_default"] else "required"
        rows += f"| `{given['parameter_name']}` | {_type(given)} | {default} |\n"
    table = f"\n| argument | type | default |\n|---|---|---|\n{rows}" if rows else ""
    gives = ", ".join(map(_type, endpoint["returns"]))
    return f"\n## {name}\n\n{endpoint.get('description') or ''}\n{table}\nGives: {gives}\n"


def _type(described: dict[str, Any]) -> str:
    return str(described["python_type"]["type"]).replace(" | ", " or ")


if __name__ == "__main__":
    print(markdown(), end="")
