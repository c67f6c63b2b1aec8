"""get_param, get_resource, get_attr, get_file, resource_facade, and their CloudFormation forms."""

from __future__ import annotations

from typing import Any

from hot_translator.errors import InvalidTemplate, ResolutionError
from hot_translator.expression import Dynamic, is_dynamic
from hot_translator.functions.base import (
    Environs,
    Failure,
    Function,
    LaterError,
    Path,
    find_failure,
    is_list,
    message,
    plain,
    strip,
)
from hot_translator.functions.select import SelectPath, select_parameter


class GetParam(Function):
    """``{get_param: name}`` or ``{get_param: [name, key, ...]}``. A path that leads nowhere gives ""."""

    def fold(self, arguments: Any) -> Any:
        """The value; dynamic when the value, or a part of the path, is."""
        if failure := find_failure(arguments):
            return failure
        try:
            name, path = self._read(strip(arguments))
            value = self.environs.parameter(name)
        except KeyError:
            return Failure(ResolutionError(str(self.path), f"The Parameter ({name}) was not provided"))
        except (TypeError, ValueError) as error:
            return Failure(ResolutionError(str(self.path), str(error)))
        if isinstance(value, Failure):
            return value
        while path and not isinstance(value, Dynamic) and not is_dynamic(path[0]):
            value = select_parameter(value, (path.pop(0),))
        return SelectPath(value, path, select_parameter) if path else value

    def _read(self, arguments: Any) -> tuple[str, list[Any]]:
        if not arguments:
            msg = f'Function "{self.name}" must have arguments'
            raise ValueError(msg)
        if isinstance(arguments, str):
            return arguments, []
        if not is_list(arguments):
            msg = f'Argument to "{self.name}" must be string or list'
            raise TypeError(msg)
        if not isinstance(arguments[0], str):
            msg = f'Parameter name in "{self.name}" must be string'
            raise TypeError(msg)
        return arguments[0], list(arguments[1:])


class ParamRef(Function):
    """CloudFormation's ``{Ref: parameter}``."""

    def fold(self, arguments: Any) -> Any:
        """The parameter's value."""
        if isinstance(arguments, Failure):
            return arguments
        if not isinstance(arguments, str):
            return Failure(
                InvalidTemplate(str(self.path), f'Argument to "{self.name}" must be the name of a parameter')
            )
        try:
            return self.environs.parameter(arguments)
        except KeyError:
            reason = f'The specified reference "{arguments}" is incorrect'
            return Failure(ResolutionError(str(self.path), reason))


class GetResource(Function):
    """``{get_resource: name}``: the id by which others refer to the resource."""

    def fold(self, arguments: Any) -> Any:
        """The compiled reference."""
        if isinstance(arguments, Failure):
            return arguments
        name = strip(arguments)
        if isinstance(name, Dynamic):
            reason = f'The name in "{self.name}" must not depend on a resource'
            return Failure(ResolutionError(str(self.path), reason))
        try:
            return self.environs.reference(name)
        except (KeyError, TypeError):
            return Failure(ResolutionError(str(self.path), f'The specified reference "{name}" is incorrect'))


def ref(name: str, environs: Environs, path: Path) -> Function:
    """``Ref``: a resource when one has the name, else a parameter."""
    return _Ref(name, environs, path)


class _Ref(Function):
    def fold(self, arguments: Any) -> Any:
        kind = GetResource if isinstance(arguments, str) and self.environs.has_resource(arguments) else ParamRef
        return kind(self.name, self.environs, self.path).fold(arguments)


class GetAttr(Function):
    """``{get_attr: [resource, attribute, key, ...]}``."""

    whole_resource = False
    """Whether a resource alone gives the map of all its attributes (from 2015-10-15)."""

    def check(self, arguments: Any) -> None:
        """Refuse anything but a list of a resource, an attribute and a path."""
        if not is_list(arguments):
            msg = f'Argument to "{self.name}" must be a list'
            raise TypeError(msg)
        if len(arguments) < (1 if self.whole_resource else 2):
            msg = f'Arguments to "{self.name}" must be of the form [resource_name, attribute, (path), ...]'
            raise ValueError(msg)

    def fold(self, arguments: Any) -> Any:
        """The compiled attribute. A wrong name is refused here, as Heat refuses it in validation."""
        if failure := find_failure(arguments):
            return failure
        arguments = [strip(argument) for argument in arguments]
        name = arguments[0]
        if not isinstance(name, str):
            raise InvalidTemplate(str(self.path), f'The specified reference "{name}" is incorrect')
        try:
            if self.whole_resource and (len(arguments) == 1 or arguments[1] is None):
                return self.environs.all_attributes(name)
            attribute = arguments[1]
            if not isinstance(attribute, str):
                reason = f"The Referenced Attribute ({name} {attribute}) is incorrect"
                raise InvalidTemplate(str(self.path), reason)
            return self.environs.attribute(name, attribute, arguments[2:])
        except KeyError:
            raise InvalidTemplate(str(self.path), f'The specified reference "{name}" is incorrect') from None
        except LaterError as error:
            return Failure(ResolutionError(str(self.path), str(error)))
        except LookupError as error:
            raise InvalidTemplate(str(self.path), message(error)) from None


class GetAttrOrAll(GetAttr):
    """get_attr from 2015-10-15 on."""

    whole_resource = True


class FnGetAtt(GetAttr):
    """``{Fn::GetAtt: [resource, attribute]}``."""

    def check(self, arguments: Any) -> None:
        """Refuse anything but two items."""
        if not is_list(arguments) or len(arguments) != 2:
            msg = f'Arguments to "{self.name}" must be of the form [resource_name, attribute]'
            raise ValueError(msg)


class GetFile(Function):
    """``{get_file: key}``: the text of a file that came with the template."""

    def fitting(self, arguments: Any) -> Any:
        """Lists and maps are no key."""
        return None if isinstance(arguments, Dynamic) else plain(arguments)

    def compute(self, arguments: Any) -> Any:
        """The text."""
        if not isinstance(arguments, str):
            msg = f'Argument to "{self.name}" must be a string'
            raise TypeError(msg)
        try:
            return self.environs.file(arguments)
        except KeyError:
            msg = f'No content found in the "files" section for {self.name} path: {arguments}'
            raise ValueError(msg) from None


class FindInMap(Function):
    """``{Fn::FindInMap: [map, key, key]}``."""

    unpacked = True

    def check(self, arguments: Any) -> None:
        """Refuse anything but three items."""
        if not is_list(arguments) or len(arguments) != 3:
            msg = f'Arguments to "{self.name}" must be of the form [mapping, key, key]'
            raise KeyError(msg)

    def _refusal(self, arguments: Any) -> Failure | None:
        """A map, or a key of it, that is not there."""
        found: Any = None
        for index, key in enumerate(arguments):
            if is_dynamic(key):
                return None
            try:
                found = self.environs.mapping(key) if index == 0 else found[key]
            except (LookupError, TypeError):
                shown = ".".join(str(one) for one in arguments[: index + 1])
                return Failure(ResolutionError(str(self.path), f'"{self.name}": the mappings hold no {shown}'))
        return None

    def compute(self, arguments: Any) -> Any:
        """The entry."""
        name, key, value = arguments
        try:
            return self.environs.mapping(name)[key][value]
        except (LookupError, TypeError):
            msg = f'"{self.name}": the mappings hold no {name}.{key}.{value}'
            raise KeyError(msg) from None


class ResourceFacade(Function):
    """``{resource_facade: metadata}``: a section of the resource that this nested template stands for."""

    sections: tuple[str, ...] = ("metadata", "deletion_policy", "update_policy")

    def check(self, arguments: Any) -> None:
        """Refuse other sections."""
        if arguments not in self.sections:
            msg = f'Incorrect arguments to "{self.name}" should be one of: {", ".join(self.sections)}'
            raise ValueError(msg)

    def fold(self, arguments: Any) -> Any:
        """The section, compiled in the parent."""
        try:
            return self.environs.facade(ResourceFacade.sections[self.sections.index(arguments)])
        except LookupError as error:
            return Failure(ResolutionError(str(self.path), message(error)))


class FnResourceFacade(ResourceFacade):
    """``{Fn::ResourceFacade: Metadata}``."""

    sections = ("Metadata", "DeletionPolicy", "UpdatePolicy")
