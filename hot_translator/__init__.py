"""Heat templates: text to resolved resource definitions and a dependency graph. Pure: no I/O."""

from hot_translator.constraints import CustomConstraint
from hot_translator.environment import Environment, merge_environments, parse_environment
from hot_translator.errors import (
    EvaluationFailed,
    InvalidParameter,
    InvalidTemplate,
    Problems,
    ResolutionError,
    TranslationError,
)
from hot_translator.expression import UNKNOWN, Dynamic, Scope, has_unknown
from hot_translator.members import GroupResult, GroupState
from hot_translator.parameters import HIDDEN_TEXT, Parameter, ParameterSchema
from hot_translator.template import Template, parse_template
from hot_translator.translate import translate
from hot_translator.translation import Definition, Output, Translation
from hot_translator.tree import Limits, Pseudo

__all__ = [
    "HIDDEN_TEXT",
    "UNKNOWN",
    "CustomConstraint",
    "Definition",
    "Dynamic",
    "Environment",
    "EvaluationFailed",
    "GroupResult",
    "GroupState",
    "InvalidParameter",
    "InvalidTemplate",
    "Limits",
    "Output",
    "Parameter",
    "ParameterSchema",
    "Problems",
    "Pseudo",
    "ResolutionError",
    "Scope",
    "Template",
    "Translation",
    "TranslationError",
    "has_unknown",
    "merge_environments",
    "parse_environment",
    "parse_template",
    "translate",
]
