"""The resources that a StackRevision asks for, and what each needs, without hidden values and without the cloud."""

from collections.abc import Mapping
from typing import Any

from hot_translator.budget import limited
from hot_translator.errors import TranslationError
from kiln.kubectl.views import Graph
from kiln.stack.revisions import HIDDEN
from kiln.tools.command_line import Document, Inputs
from kiln.tools.offline import run
from reconcilers.engine.graph import concrete_requirements


def graph_of(revision: Mapping[str, Any], stack_name: str) -> Graph | None:
    """The graph of a StackRevision object.

    Parameters whose values are hidden are unknown, which may matter to conditions and counts only. None if the
    revision does not translate without its hidden texts.
    """
    spec = revision["spec"]
    environments = tuple(spec.get("environments") or ())
    if HIDDEN in (spec["templateBody"], *environments):
        return None
    inputs = Inputs(
        Document("template.yaml", spec["templateBody"]),
        tuple(Document(f"environments[{index}]", text) for index, text in enumerate(environments)),
        spec.get("files") or {},
        parameters=spec.get("parameters") or {},
    )
    try:
        with limited():
            translation = run(inputs, stack_name=stack_name, stand_in=True).translation
    except TranslationError:
        return None
    if translation is None:
        return None
    names = [name for name in translation.order if not translation.definitions[name].virtual]
    return Graph(
        {name: translation.definitions[name].type for name in names},
        {name: concrete_requirements(translation.definitions, name) for name in names},
    )
