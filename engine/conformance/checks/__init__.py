"""Behaviour, area by area. Each check is a short function; its docstring is the contract's statement."""

MODULES = (
    "config",
    "registry",
    "utils",
    "torchtools",
    "trainer_base",
    "building",
    "lifecycle",
    "run_output",
    "resuming",
    "datasets",
    "loaders",
    "samplers",
    "transforms",
    "modeling",
    "ops",
    "optim",
    "evaluation",
    "logger",
    "launch",
    "bundled",
)
