"""What a row of the study is: a learning rate, and the held-out loss that training ended with.

python experiments/widths/measure.py RUN

prints a line of JSON.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments import measuring


def measured(run: Path) -> dict[str, float]:
    """Of a run that has ended.

    Args:
        run: the row's folder; its checkpoints are a link to those of the training.
    """
    config = json.loads((run / "config.json").read_text())
    trained = (run / "checkpoints").resolve().parent
    with (trained / "metrics.csv").open(newline="") as file:
        losses = [row["eval_loss"] for row in csv.DictReader(file) if row["eval_loss"]]
    return {"learning_rate": config["optim"]["learning_rate"], "loss": float(losses[-1])}


main = measuring.program("experiments/widths/measure.py", __doc__, measured)

if __name__ == "__main__":
    sys.exit(main(sys.argv))
