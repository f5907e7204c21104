"""What ``--help`` says beside the options: a line for each command, and an example."""

from __future__ import annotations

from typing import Any, TypedDict

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


class HelpTexts(TypedDict):
    """What typer's decorator of a command takes."""

    short_help: str
    epilog: str


# In lists of commands; no longer than fits beside a name at 60 columns.
_SHORT = {
    "prune": "Prune a checkpoint.",
    "calibrate": "Prune a model with samples of its data.",
    "check": "Check that weights or masks obey a pattern.",
    "inspect": "Show tensors and the patterns that hold.",
    "convert": "Write pruned weights in another format.",
    "diversity": "Count the masks of a pattern.",
    "plot": "Draw masks, retained scores, diversity.",
    "plot mask": "Draw weights, mask and tiles of a layer.",
    "plot retained": "Draw what each layer retains.",
    "plot diversity": "Draw how many masks there are.",
    "eval": "Measure what a pruned model is worth.",
    "eval perplexity": "Perplexity on a text, dense and pruned.",
    "bench": "Measure what sparse layers gain here.",
    "bench linear": "Time dense and sparse linear layers.",
    "bench model": "Time a pruned model, dense and packed.",
}

# Lines of fewer than 58 characters: they are shown as they are.
_EXAMPLES = {
    "prune": """
        tnm prune model.safetensors -o pruned.safetensors \\
            --pattern 2:4 --include 'encoder.*'
        """,
    "calibrate": """
        tnm calibrate models/minilm sentences.txt \\
            -o models/minilm-16-32 --pattern 16:32
        tnm calibrate models/smollm news.txt --tokens 12288 \\
            -o models/smollm-16-32 --pattern 16:32
        tnm calibrate models/vit photographs --images 256 \\
            -o models/vit-16-32 --pattern 16:32
        """,
    "check": """
        tnm check pruned.safetensors
        tnm check other.npz --pattern 2:4 --exact
        """,
    "inspect": """
        tnm inspect model.safetensors
        tnm inspect model.safetensors | grep query
        """,
    "convert": """
        tnm convert pruned.safetensors --to packed \\
            -o packed.safetensors
        tnm convert models/pruned --to bitmask \\
            -o models/bitmask
        tnm convert pruned.safetensors --to masks \\
            -o masks.safetensors
        """,
    "diversity": """
        tnm diversity 8:16
        tnm diversity 2:4 --shape 768x768
        """,
    "plot mask": """
        tnm plot mask pruned.safetensors -o mask.png \\
            --dense model.safetensors \\
            --tensor encoder.layer.0.output.dense.weight
        """,
    "plot retained": """
        tnm prune model.safetensors -p 2:4 --dry-run \\
            --report 2-4.json
        tnm plot retained 2-4.json -o retained.png
        """,
    "plot diversity": """
        tnm plot diversity -o diversity.png
        """,
    "eval perplexity": """
        tnm eval perplexity models/smollm-16-32 others.txt \\
            --dense models/smollm --length 512
        """,
    "bench linear": """
        tnm bench linear --shape 1536x384 --pattern 16:32 \\
            --tokens 512
        """,
    "bench model": """
        tnm bench model models/minilm-16-32 others.txt \\
            --dense models/minilm --threads 1
        tnm bench model models/smollm-16-32 others.txt \\
            --length 512 --threads 1
        tnm bench model models/vit-16-32 photographs
        """,
}


def help_texts(command: str) -> HelpTexts:
    """Return what the help of a command holds beside its docstring and its options."""
    lines = [line[8:] for line in _EXAMPLES[command].strip("\n").splitlines()]
    example = "\n".join(["\b", "Example:", *(f"  {line}" for line in lines)]).rstrip()
    return {"short_help": _SHORT[command], "epilog": example}


def short_help(command: str) -> str:
    """Return the line for a group of commands."""
    return _SHORT[command]
