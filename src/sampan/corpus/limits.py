"""The artifact of kind `limits`: thresholds by language, as `limits.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..core.errors import InputError, did_you_mean
from ..lang.profile import languages
from ..lang.thresholds import check_limits

LIMITS_FILE = "limits.yaml"


def read_limits(path: Path) -> dict[str, dict[str, float | None]]:
    """{language: {limit: value}} of a `limits` artifact or of one such YAML file; InputError or
    RecipeError says what is wrong."""
    import yaml

    file = path / LIMITS_FILE if path.is_dir() else path
    try:
        table = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"not readable as YAML ({str(error).splitlines()[0]})", where=str(file)) from None
    if not isinstance(table, dict):
        raise InputError("limits are a table of languages", where=str(file), how="Such as `tha_Thai: {min_units: 20}`.")
    for code, row in table.items():
        if code not in languages():
            raise InputError(
                f"there is no language '{code}'", where=str(file), how=did_you_mean(str(code), languages())
            )
        if not isinstance(row, dict):
            raise InputError("the limits of a language are a table", where=f"{file}: {code}")
        check_limits(row, where=f"{file}: {code}")
    return table


def write_limits(folder: Path, table: Mapping[str, Mapping[str, float]], note: str) -> None:
    """Write `limits.yaml`, sorted, with `note` as the comment at its head."""
    lines = [f"# {line}" for line in note.splitlines()]
    for code, row in sorted(table.items()):
        lines += [f"{code}:", *(f"  {name}: {value!r}" for name, value in sorted(row.items()))]
    (folder / LIMITS_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
