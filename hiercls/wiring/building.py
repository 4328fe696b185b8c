"""Located YAML becomes values; every mistake keeps its position."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import ValidationError

from hiercls.contracts.components import KINDS, Component
from hiercls.wiring.explaining import explain
from hiercls.wiring.merging import component_parts
from hiercls.wiring.problems import Problems, suggestion
from hiercls.wiring.registry import Registry
from hiercls.wiring.specs import Section, ThreatSection
from hiercls.wiring.yaml_source import Located
from hiercls.words.errors import HierclsError
from hiercls.words.threats import Threat

KIND_OF: Mapping[type, str] = {cls: kind for kind, cls in KINDS.items()}
NONE = "none"


class _Failed:
    """What could not be built; its mistakes are told already."""

    def __repr__(self) -> str:
        return "FAILED"


FAILED: Any = _Failed()


@dataclass
class Builder:
    """Builds sections and components, and remembers under which name each component class was found."""

    registry: Registry
    problems: Problems
    names: dict[type[Component], str] = field(default_factory=dict)

    def section(self, cls: type[Section], source: Located) -> Any:
        """A section, or FAILED. A key without a value counts as not written."""
        if not isinstance(source.value, dict):
            self.problems.add(source, f"found {source.plain()!r}; write a mapping of {', '.join(cls.model_fields)}")
            return FAILED
        return self.finished(cls, source, self.values(cls, source))

    def finished(self, cls: type[Section], source: Located, values: Mapping[str, Any]) -> Any:
        """A section from its built entries, or FAILED."""
        failed = {key for key, value in values.items() if _failed(value)}
        unknown = source.items.keys() - cls.model_fields.keys()
        try:
            built = cls.model_validate({key: value for key, value in values.items() if key not in failed})
        except ValidationError as error:
            explain(self.problems, source, cls, error, ignored=failed | unknown)
            return FAILED
        return FAILED if failed or unknown else built

    def values(self, cls: type[Section], source: Located) -> dict[str, Any]:
        """The entries of a section with their components built; unknown keys are told and left out."""
        found = {}
        for key, item in source.items.items():
            if key not in cls.model_fields:
                self.problems.at_key(item, f"unknown option; {suggestion(key, cls.model_fields)}")
            elif not item.empty:
                found[key] = self.value(cls.model_fields[key].annotation, item)
        return found

    def value(self, annotation: Any, source: Located) -> Any:
        wanted = _without_none(annotation)
        if wanted in KIND_OF:
            return self.optional(KIND_OF[wanted], source)
        if wanted is Threat:
            section = self.section(ThreatSection, source)
            return FAILED if section is FAILED else section.threat()
        if _is_section(wanted):
            return self.section(wanted, source)
        if get_origin(wanted) is dict and isinstance(source.value, dict) and (kinds := _sections(get_args(wanted)[1])):
            return {name: self.section(_meant(kinds, item), item) for name, item in source.items.items()}
        if get_args(wanted)[:1] and get_args(wanted)[0] in KIND_OF and isinstance(source.value, tuple):
            return self._all([self.component(KIND_OF[get_args(wanted)[0]], item) for item in source.value])
        return source.plain()

    def optional(self, kind: str, source: Located) -> Any:
        """A component, None for a certifier of `none`, or FAILED."""
        return None if kind == "certifier" and source.value == NONE else self.component(kind, source)

    def component(self, kind: str, source: Located, partial: bool = False) -> Any:
        """A component from `name` or `{name: {options}}`, or FAILED.

        Args:
            partial: the options amend others, so that none is missing.
        """
        parts = component_parts(source)
        if parts is None:
            self.problems.add(source, f"found {source.plain()!r}; write a {kind} as `name` or `{{name: {{options}}}}`")
            return FAILED
        name, options = parts
        try:
            cls = self.registry.get(kind, name)
        except HierclsError as error:
            self.problems.add(source, str(error), type(error))
            return FAILED
        self.names[cls] = name
        if not isinstance(options.value, dict):
            self.problems.add(options, f"found {options.plain()!r}; the options of {name!r} are a mapping")
            return FAILED
        return self._validated(cls, options, partial)

    def _validated(self, cls: type[Component], options: Located, partial: bool) -> Any:
        try:
            return cls.model_validate(options.plain())
        except ValidationError as error:
            explain(self.problems, options, cls, error, partial=partial)
        except HierclsError as error:
            if not partial:
                self.problems.add(options, str(error), type(error))
        return FAILED

    @staticmethod
    def _all(items: list[Any]) -> Any:
        return FAILED if FAILED in items else tuple(items)


def _failed(value: Any) -> bool:
    return value is FAILED or (isinstance(value, dict) and FAILED in value.values())


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _sections(annotation: Any) -> tuple[type[Section], ...]:
    """A section, or the sections of a union; none for anything else."""
    found = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return found if all(map(_is_section, found)) else ()


def _meant(kinds: tuple[type[Section], ...], source: Located) -> type[Section]:
    """The first section whose first key is written, else the last."""
    return next((kind for kind in kinds if next(iter(kind.model_fields)) in source), kinds[-1])


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        rest = [arg for arg in get_args(annotation) if arg is not type(None)]
        return rest[0] if len(rest) == 1 else annotation
    return annotation
