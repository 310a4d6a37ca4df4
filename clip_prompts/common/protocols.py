"""Names of the protocols, and their titles in the order of tables."""

TITLES = {
    "base2new": "Base-to-new generalization",
    "few_shot": "Few-shot classification",
    "cross_dataset": "Cross-dataset transfer",
    "domain_generalization": "Domain generalization",
    "zeroshot": "Zero-shot classification",
    "ablation": "Ablation",
}
TRANSFERS = ("cross_dataset", "domain_generalization")  # learned on one dataset, tested on others
