"""Evaluators: they collect predictions batch by batch and turn them into metrics."""

from .build import EVALUATOR_REGISTRY, build_evaluator
from .evaluator import Classification, EvaluatorBase
