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
        "consensus_ties": "sampan.merge.methods.consensus_ties:METHOD",
        "breadcrumbs": "sampan.merge.methods.breadcrumbs:METHOD",
        "breadcrumbs_ties": "sampan.merge.methods.breadcrumbs_ties:METHOD",
        "model_stock": "sampan.merge.methods.model_stock:METHOD",
        "sce": "sampan.merge.methods.sce:METHOD",
        "slerp": "sampan.merge.methods.slerp:METHOD",
        "nuslerp": "sampan.merge.methods.nuslerp:METHOD",
        "karcher": "sampan.merge.methods.karcher:METHOD",
        "passthrough": "sampan.merge.methods.passthrough:METHOD",
    },
    group="sampan.merge_methods",
)

WITHOUT_NORMALIZE = frozenset({"slerp", "nuslerp", "karcher", "model_stock", "sce", "passthrough"})
"""Methods for which `normalize` has no meaning: `Method.normalize` is None. Known here without loading them."""
