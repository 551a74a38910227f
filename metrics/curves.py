"""metrics.csv of a training run: a row for each line of the log and each validation, with empty cells."""

import math

LAST_ITERATION = 1 << 53


def row_of_numbers(row: dict) -> dict[str, float] | None:
    """The cells of a row that are not empty, as numbers; None where one is no number, or the row is not whole.

    Example:
        >>> row_of_numbers({"iter": "20", "lr": "2e-4", "val_psnr": ""})
        {'iter': 20.0, 'lr': 0.0002}
        >>> row_of_numbers({"iter": "2", "lr": None})
    """
    try:
        numbers = {key: float(value) for key, value in row.items() if value != ""}
    except (ValueError, TypeError):  # TypeError: too few cells, or too many
        return None
    iteration = numbers.get("iter", math.nan)
    return numbers if 0 <= iteration <= LAST_ITERATION and iteration.is_integer() else None
