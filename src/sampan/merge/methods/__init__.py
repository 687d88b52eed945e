"""Merge methods, one file each: a pure function from task vectors to the merged task vector."""

from ...core.registry import Registry

METHODS = Registry(
    "merge method",
    {
        "linear": "sampan.merge.methods.linear:METHOD",
        "task_arithmetic": "sampan.merge.methods.task_arithmetic:METHOD",
        "ties": "sampan.merge.methods.ties:METHOD",
        "dare_linear": "sampan.merge.methods.dare_linear:METHOD",
        "dare_ties": "sampan.merge.methods.dare_ties:METHOD",
        "della": "sampan.merge.methods.della:METHOD",
        "della_linear": "sampan.merge.methods.della_linear:METHOD",
        "consensus_ta": "sampan.merge.methods.consensus_ta:METHOD",
    },
    group="sampan.merge_methods",
)
