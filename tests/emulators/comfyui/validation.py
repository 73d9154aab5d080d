"""Validates a prompt as the server does: classes, required inputs, links, types, bounds and choices."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.comfyui.nodes import NODE_CLASSES, NodeClass

_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


@dataclass
class ValidPrompt:
    """The result: the outputs to run, and the errors of nodes whose outputs are left out."""

    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None


def make_error(kind: str, message: str, details: str = "", **extra: Any) -> dict[str, Any]:
    """Return an error as the server writes errors."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def validate_prompt(prompt: Mapping[str, Any], has_input_file: Callable[[str], bool]) -> ValidPrompt:
    """Return the outputs that can run. One good output is enough: the errors of the others stand in `node_errors`."""
    outputs = []
    for node, entry in prompt.items():
        name = entry.get("class_type") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name not in NODE_CLASSES:
            message = f"Node '{entry.get('_meta', {}).get('title', name)}' not found."
            extra = {"node_id": node, "class_type": name}
            return ValidPrompt(error=make_error("missing_node_type", message, f"Node ID '#{node}'", **extra))
        if NODE_CLASSES[name].is_output:
            outputs.append(node)
    if not outputs:
        return ValidPrompt(error=make_error("prompt_no_outputs", "Prompt has no outputs"))
    checker = _Checker(prompt, has_input_file)
    good = [output for output in outputs if checker.check(output)]
    node_errors = {
        node: {
            "errors": errors,
            "dependent_outputs": [output for output in outputs if output not in good],
            "class_type": prompt[node]["class_type"],
        }
        for node, errors in checker.errors.items()
        if errors
    }
    if good:
        return ValidPrompt(good, node_errors)
    details = "\n".join(f"{e['message']}: {e['details']}" for errors in checker.errors.values() for e in errors)
    error = make_error("prompt_outputs_failed_validation", "Prompt outputs failed validation", details)
    return ValidPrompt([], node_errors, error)


class _Checker:
    def __init__(self, prompt: Mapping[str, Any], has_input_file: Callable[[str], bool]) -> None:
        self.errors: dict[str, list[dict[str, Any]]] = {}
        self._prompt = prompt
        self._has_input_file = has_input_file

    def check(self, node: str) -> bool:
        """Return whether a node and all nodes before it are valid."""
        if node in self.errors:
            return not self.errors[node]
        errors = self.errors.setdefault(node, [])
        node_class = NODE_CLASSES[self._prompt[node]["class_type"]]
        inputs = self._prompt[node].get("inputs", {})
        is_good = True
        for name, (kind, bounds) in {**node_class.required, **node_class.optional}.items():
            if name not in inputs:
                if name in node_class.required:
                    errors.append(
                        make_error("required_input_missing", "Required input is missing", name, input_name=name)
                    )
            elif isinstance(inputs[name], list):
                is_good = self._check_link(errors, name, kind, inputs[name]) and is_good
            else:
                self._check_value(errors, node_class, inputs, name, kind, bounds)
        return is_good and not errors

    def _check_link(self, errors: list[dict[str, Any]], name: str, kind: Any, link: list[Any]) -> bool:
        if len(link) != 2 or link[0] not in self._prompt:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            errors.append(make_error("bad_linked_input", message, name, input_name=name, received_value=link))
            return False
        source = NODE_CLASSES[self._prompt[link[0]]["class_type"]]
        if not 0 <= link[1] < len(source.outputs) or source.outputs[link[1]] != kind:
            errors.append(
                make_error("return_type_mismatch", "Return type mismatch between linked nodes", name, input_name=name)
            )
            return False
        return self.check(link[0])

    def _check_value(
        self,
        errors: list[dict[str, Any]],
        node_class: NodeClass,
        inputs: dict[str, Any],
        name: str,
        kind: Any,
        bounds: Mapping[str, Any],
    ) -> None:
        value = inputs[name]
        extra = {"input_name": name, "received_value": value}
        if node_class.name == "LoadImage":
            if not isinstance(value, str) or not self._has_input_file(value):
                details = f"{name} - Invalid image file: {value}"
                errors.append(
                    make_error("custom_validation_failed", "Custom validation failed for node", details, **extra)
                )
            return
        if isinstance(kind, tuple):
            if value not in kind:
                details = f"{name}: '{value}' not in {list(kind)}"
                errors.append(make_error("value_not_in_list", "Value not in list", details, **extra))
            return
        try:
            inputs[name] = value = _CONVERSIONS[kind](value)
        except (KeyError, TypeError, ValueError) as error:
            message = f"Failed to convert an input value to a {kind} value"
            errors.append(make_error("invalid_input_type", message, f"{name}, {value}, {error}", **extra))
            return
        if "min" in bounds and value < bounds["min"]:
            message = f"Value {value} smaller than min of {bounds['min']}"
            errors.append(make_error("value_smaller_than_min", message, name, **extra))
        elif "max" in bounds and value > bounds["max"]:
            message = f"Value {value} bigger than max of {bounds['max']}"
            errors.append(make_error("value_bigger_than_max", message, name, **extra))
