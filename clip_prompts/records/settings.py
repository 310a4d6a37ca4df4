"""The table of all settings: meaning, range, and whether a run's result depends on it.

``docs/config.md`` is written from this table (``python tools/config_docs.py``), and ``checks.check_config`` checks
every config with it. Settings that a plugin declares are not in the table; only their type is checked.
Imports nothing heavy, so that tools can use it.
"""

import math
from dataclasses import dataclass

from clip_prompts.common.errors import unknown
from clip_prompts.common.text import one_line

from .rules import (
    BELOW_ONE,
    FLAG,
    ODD,
    POSITIVE,
    SHARE,
    SHARES,
    TEXT,
    TEXTS,
    TRANSFORMS,
    WEIGHT,
    Rule,
    choice,
    number,
    numbers,
    some,
    transforms,
    whole,
)  # fmt: skip

__all__ = ["FILE_SETTINGS", "IRRELEVANT_SETTINGS", "RUN_SETTINGS", "SETTINGS", "TABLE", "TRANSFORMS", "problem"]

SAMPLERS = ("RandomSampler", "SequentialSampler", "RandomDomainSampler", "SeqDomainSampler", "RandomClassSampler")
MAX_CONTEXT = 75  # vectors: CLIP reads 77 tokens, and two of them are start and end


@dataclass(frozen=True)
class Setting:
    """One config key.

    irrelevant: a run's result does not depend on it. of_run: runs that are averaged may differ in it (the seed, the
    data). names_file: it is the path of a file with data or weights; the content counts, not the path.
    """

    key: str
    rule: Rule
    text: str
    irrelevant: bool = False
    of_run: bool = False
    names_file: bool = False


PRECISION = choice("fp32", "fp16", "bf16", "amp")
N_CTX = whole(1, MAX_CONTEXT)
BATCH = whole(1, 1_000_000)
STEPS = whole(1, 1_000_000_000)

_PRECISION_TEXT = "Numerical precision; on a CPU, fp16 means fp32."
_STRONG = "Names of the transforms of the strong view."
_WORDS = "Words that the context starts from; their tokens give the number of vectors. Empty: a random start."
_THRESHOLD = "Least confidence of a guess that is learned from."

# A setting is irrelevant if the same command with another value gives the same numbers, up to rounding. Paths are
# irrelevant, because their content counts, and so is everything about memory, speed, printing and saving.
# DATALOADER.NUM_WORKERS is not: with workers, random transforms draw in the workers, from other streams.
TABLE: tuple[Setting, ...] = (
    Setting("VERSION", whole(1, 1), "Version of the config's format.", irrelevant=True),
    Setting("OUTPUT_DIR", TEXT, "Folder for logs, records and checkpoints.", irrelevant=True),
    Setting("RESUME", TEXT, "Output folder of the run to continue; empty: look in `OUTPUT_DIR`.", irrelevant=True),
    Setting("SEED", whole(-1, 2**32 - 1), "Seed of all random numbers; -1 leaves them unseeded.", of_run=True),
    Setting("USE_CUDA", FLAG, "Compute on a GPU if there is one.", irrelevant=True),
    Setting("VERBOSE", FLAG, "Print the names of what is built, and a summary of the data.", irrelevant=True),

    Setting("INPUT.SIZE", numbers(2, whole(1, 4096)),
            "Height and width of the images that the network sees, in pixels."),
    Setting("INPUT.INTERPOLATION", choice("bilinear", "bicubic", "nearest"), "Interpolation when images are resized."),
    Setting("INPUT.TRANSFORMS", transforms(),
            "Names of the transforms of training images; their order has no effect."),
    Setting("INPUT.NO_TRANSFORM", FLAG,
            "Give the trainer PIL images; only for trainers that transform images themselves."),
    Setting("INPUT.PIXEL_MEAN", numbers(3, number(-math.inf)), "Mean of red, green and blue, for `normalize`."),
    Setting("INPUT.PIXEL_STD", numbers(3, POSITIVE), "Standard deviation of red, green and blue, for `normalize`."),
    Setting("INPUT.CROP_PADDING", whole(0, 4096), "Padding of `random_crop`, in pixels."),
    Setting("INPUT.RRCROP_SCALE", SHARES, "Smallest and largest share of the area, for `random_resized_crop`."),
    Setting("INPUT.CUTOUT_N", whole(0, 1000), "Number of holes of `cutout`."),
    Setting("INPUT.CUTOUT_LEN", whole(0, 4096), "Side of a hole of `cutout`, in pixels."),
    Setting("INPUT.GN_MEAN", number(-math.inf), "Mean of `gaussian_noise`."),
    Setting("INPUT.GN_STD", WEIGHT, "Standard deviation of `gaussian_noise`."),
    Setting("INPUT.RANDAUGMENT_N", whole(0, 100), "Operations per image of `randaugment`."),
    Setting("INPUT.RANDAUGMENT_M", whole(0, 30), "Strength of `randaugment`."),
    Setting("INPUT.COLORJITTER_B", WEIGHT, "Change of brightness of `colorjitter`."),
    Setting("INPUT.COLORJITTER_C", WEIGHT, "Change of contrast of `colorjitter`."),
    Setting("INPUT.COLORJITTER_S", WEIGHT, "Change of saturation of `colorjitter`."),
    Setting("INPUT.COLORJITTER_H", number(0, 0.5), "Change of hue of `colorjitter`."),
    Setting("INPUT.RGS_P", SHARE, "Probability of `randomgrayscale`."),
    Setting("INPUT.GB_P", SHARE, "Probability of `gaussian_blur`."),
    Setting("INPUT.GB_K", ODD, "Kernel of `gaussian_blur`, in pixels."),

    Setting("DATASET.ROOT", TEXT, "Folder that holds the datasets.", irrelevant=True),
    Setting("DATASET.NAME", TEXT, "Name of the dataset, as registered.", of_run=True),
    Setting("DATASET.SOURCE_DOMAINS", TEXTS, "Domains to train on, for a dataset that has domains."),
    Setting("DATASET.TARGET_DOMAINS", TEXTS, "Domains to test on, for a dataset that has domains.", of_run=True),
    Setting("DATASET.NUM_LABELED", whole(-1, 1_000_000_000),
            "Labelled training images in total, shared by the classes; 0 or -1: use `NUM_SHOTS`."),
    Setting("DATASET.NUM_SHOTS", whole(-1, 1_000_000), "Training images per class; 0 or -1: all."),
    Setting("DATASET.VAL_PERCENT", BELOW_ONE,
            "Share of the training images that is for validation, in semi-supervised learning."),
    Setting("DATASET.STL10_FOLD", whole(-1, 9), "Published fold of STL-10; -1: all labelled images."),
    Setting("DATASET.CIFAR_C_TYPE", TEXT, "Corruption of CIFAR-C."),
    Setting("DATASET.CIFAR_C_LEVEL", whole(1, 5), "Strength of the corruption of CIFAR-C."),
    Setting("DATASET.ALL_AS_UNLABELED", FLAG, "Labelled images also serve as unlabelled ones."),
    Setting("DATASET.UNLABELED", choice("", "target", "rest"),
            "Images to train on without labels: of the target domains, "
            "or the rest that shots leave; empty: the dataset's own choice."),
    Setting("DATASET.SUBSAMPLE_CLASSES", choice("all", "base", "new"),
            "All classes, the first half (base) or the second half (new).", of_run=True),
    Setting("DATASET.LABEL", TEXT,
            "The dataset's name in reports; empty: the reader's name, or of an ImageFolder the folder's.", of_run=True),
    Setting("DATASET.TEMPLATE", TEXT, "Hand-crafted prompt with `{}` for the class name; empty: the dataset's own."),
    Setting("DATASET.UNREADABLE", choice("error", "skip"),
            "Images that cannot be read: refuse them before training, or leave them out of all lists."),
    Setting("DATASET.LIST_FILE", TEXT, "File that lists the images of an ImageFolder; empty: the file that is there.",
            of_run=True, names_file=True),
    Setting("DATASET.SHOTS_FILE", TEXT, "File with a few-shot selection; empty: the seed draws one.",
            of_run=True, names_file=True),

    Setting("DATALOADER.NUM_WORKERS", whole(0, 256),
            "Processes that load images; with another number, random transforms draw other numbers.", of_run=True),
    Setting("DATALOADER.K_TRANSFORMS", whole(1, 100), "Views of each training image, for trainers that take several."),
    Setting("DATALOADER.RETURN_IMG0", FLAG, "Add the image without augmentation to a batch."),
    Setting("DATALOADER.DECODED_MB", whole(0, 100_000_000),
            "Memory for decoded training images, in MiB; 0: decode them every time.", irrelevant=True),
    Setting("DATALOADER.PERSISTENT_WORKERS", FLAG,
            "Training workers outlive an epoch; they draw other random numbers then.", of_run=True),
    Setting("DATALOADER.TRAIN_X.SAMPLER", choice(*SAMPLERS), "Order of labelled training images."),
    Setting("DATALOADER.TRAIN_X.BATCH_SIZE", BATCH, "Labelled images per training batch."),
    Setting("DATALOADER.TRAIN_X.N_DOMAIN", whole(-1, 1_000_000),
            "Domains per batch of `RandomDomainSampler`; 0 or -1: all."),
    Setting("DATALOADER.TRAIN_X.N_INS", whole(1, 1_000_000), "Images per class in a batch of `RandomClassSampler`."),
    Setting("DATALOADER.TRAIN_U.SAME_AS_X", FLAG, "Use the settings of `TRAIN_X` for unlabelled images."),
    Setting("DATALOADER.TRAIN_U.SAMPLER", choice(*SAMPLERS), "Order of unlabelled training images."),
    Setting("DATALOADER.TRAIN_U.BATCH_SIZE", BATCH, "Unlabelled images per training batch."),
    Setting("DATALOADER.TRAIN_U.N_DOMAIN", whole(-1, 1_000_000),
            "Domains per batch of `RandomDomainSampler`; 0 or -1: all."),
    Setting("DATALOADER.TRAIN_U.N_INS", whole(1, 1_000_000), "Images per class in a batch of `RandomClassSampler`."),
    # The others skip images or repeat them, and a test is over all.
    Setting("DATALOADER.TEST.SAMPLER", choice("SequentialSampler", "RandomSampler"),
            "Order of validation and test images."),
    Setting("DATALOADER.TEST.BATCH_SIZE", BATCH, "Images per batch of validation and test.", irrelevant=True),

    Setting("MODEL.INIT_WEIGHTS", TEXT, "Checkpoint to start from; what fits by name and size is loaded.",
            names_file=True),
    Setting("MODEL.BACKBONE.NAME", TEXT, "Name of the backbone, or the path of a file with its weights."),
    Setting("MODEL.BACKBONE.PRETRAINED", FLAG, "Start Dassl's backbones from pretrained weights."),
    Setting("MODEL.BACKBONE.HEADS", whole(0, 1024),
            "Attention heads of the image encoder, for a file of another make than OpenAI's; 0: CLIP's rule."),
    Setting("MODEL.BACKBONE.TEXT_HEADS", whole(0, 1024), "The same for the text encoder."),
    Setting("MODEL.BACKBONE.ACT", choice("", "quickgelu", "gelu"),
            "Activation of both encoders, for a file of another make; empty: CLIP's own, QuickGELU."),
    Setting("MODEL.HEAD.NAME", TEXT, "Layers between backbone and classifier (`mlp`), for trainers that have a head."),
    Setting("MODEL.HEAD.HIDDEN_LAYERS", some(whole(1, 1_000_000)), "Widths of the head's layers."),
    Setting("MODEL.HEAD.ACTIVATION", choice("relu", "leaky_relu"), "Activation of the head."),
    Setting("MODEL.HEAD.BN", FLAG, "Batch normalization in the head."),
    Setting("MODEL.HEAD.DROPOUT", SHARE, "Probability of dropout in the head."),

    Setting("OPTIM.NAME", choice("adam", "amsgrad", "sgd", "rmsprop", "radam", "adamw"), "Optimizer."),
    Setting("OPTIM.LR", POSITIVE, "Learning rate."),
    Setting("OPTIM.WEIGHT_DECAY", WEIGHT, "Weight decay."),
    Setting("OPTIM.MOMENTUM", BELOW_ONE, "Momentum of `sgd` and `rmsprop`."),
    Setting("OPTIM.SGD_DAMPNING", SHARE, "Dampening of `sgd`."),
    Setting("OPTIM.SGD_NESTEROV", FLAG, "Nesterov momentum of `sgd`; needs momentum and no dampening."),
    Setting("OPTIM.RMSPROP_ALPHA", BELOW_ONE, "Smoothing of `rmsprop`."),
    Setting("OPTIM.ADAM_BETA1", BELOW_ONE, "First beta of the Adam-like optimizers."),
    Setting("OPTIM.ADAM_BETA2", BELOW_ONE, "Second beta of the Adam-like optimizers."),
    Setting("OPTIM.STAGED_LR", FLAG, "New layers learn at `LR`, all others at `LR` times `BASE_LR_MULT`."),
    Setting("OPTIM.NEW_LAYERS", TEXTS, "Names of the new layers, for `STAGED_LR`."),
    Setting("OPTIM.BASE_LR_MULT", WEIGHT, "Factor of the rate of all other layers, for `STAGED_LR`."),
    Setting("OPTIM.LR_SCHEDULER", choice("single_step", "multi_step", "cosine"), "Schedule of the learning rate."),
    Setting("OPTIM.STEPSIZE", some(whole(-1, 1_000_000), least=1),
            "Epochs of the drops: `single_step` takes the last (0 or -1: `MAX_EPOCH`), `multi_step` all."),
    Setting("OPTIM.GAMMA", number(0, 10, above=True), "Factor of each drop."),
    Setting("OPTIM.MAX_EPOCH", whole(1, 1_000_000), "Number of epochs; also the period of the cosine."),
    Setting("OPTIM.WARMUP_EPOCH", whole(-1, 1_000_000), "Epochs of warm-up; 0 or -1: none."),
    Setting("OPTIM.WARMUP_TYPE", choice("linear", "constant"), "Kind of warm-up."),
    Setting("OPTIM.WARMUP_CONS_LR", WEIGHT, "Rate of the constant warm-up."),
    Setting("OPTIM.WARMUP_MIN_LR", WEIGHT, "First rate of the linear warm-up."),
    Setting("OPTIM.WARMUP_RECOUNT", FLAG, "The schedule starts at its epoch 0 after the warm-up."),

    Setting("TRAIN.CHECKPOINT_FREQ", whole(-1, 1_000_000),
            "Epochs between two checkpoints; 0 or -1: only after the last epoch.", irrelevant=True),
    Setting("TRAIN.CHECKPOINT_BATCHES", whole(0, 1_000_000_000),
            "Batches between two saves within an epoch; 0: none.", irrelevant=True),
    Setting("TRAIN.CHECKPOINT_SECONDS", WEIGHT, "Seconds between two saves within an epoch; 0: none.", irrelevant=True),
    Setting("TRAIN.PRINT_FREQ", whole(0, 1_000_000_000), "Batches between two lines of the log; 0: no lines.",
            irrelevant=True),
    Setting("TRAIN.COUNT_ITER", choice("train_x", "train_u", "smaller_one"),
            "Loader that an epoch goes through once, where there are labelled and unlabelled images."),

    Setting("TEST.EVALUATOR", TEXT, "Name of the evaluator, as registered."),
    Setting("TEST.PER_CLASS_RESULT", FLAG, "Print the accuracy of each class.", irrelevant=True),
    Setting("TEST.COMPUTE_CMAT", FLAG, "Save a confusion matrix.", irrelevant=True),
    Setting("TEST.NO_TEST", FLAG, "Do not evaluate during and after training."),
    Setting("TEST.SPLIT", choice("test", "val"), "Images to evaluate on."),
    Setting("TEST.FINAL_MODEL", choice("last_step", "best_val"),
            "Model to test: of the last epoch, or of the best epoch on the validation images."),
    Setting("TEST.SAVE_PREDICTIONS", FLAG, "Write `predictions.csv`, with a row per test image.", irrelevant=True),

    Setting("TRAINER.NAME", TEXT, "Name of the trainer, as registered."),
    Setting("TRAINER.MCD.N_STEP_F", whole(1, 10_000), "Steps of the feature extractor per batch."),
    Setting("TRAINER.MME.LMDA", WEIGHT, "Weight of the entropy."),
    Setting("TRAINER.CDAC.CLASS_LR_MULTI", POSITIVE, "Factor of the classifier's learning rate."),
    Setting("TRAINER.CDAC.RAMPUP_COEF", WEIGHT, "Final weight of the consistency loss."),
    Setting("TRAINER.CDAC.RAMPUP_ITRS", STEPS, "Steps until the consistency loss has its final weight."),
    Setting("TRAINER.CDAC.TOPK_MATCH", whole(1, 1_000_000), "Largest features that two similar images share."),
    Setting("TRAINER.CDAC.P_THRESH", SHARE, _THRESHOLD),
    Setting("TRAINER.CDAC.STRONG_TRANSFORMS", transforms(), _STRONG),
    Setting("TRAINER.SE.EMA_ALPHA", SHARE, "Share that the teacher keeps of its weights in a step."),
    Setting("TRAINER.SE.CONF_THRE", SHARE, _THRESHOLD),
    Setting("TRAINER.SE.RAMPUP", STEPS, "Steps until the consistency loss has its final weight."),
    Setting("TRAINER.M3SDA.LMDA", WEIGHT, "Weight of the distance of moments."),
    Setting("TRAINER.M3SDA.N_STEP_F", whole(1, 10_000), "Steps of the feature extractor per batch."),
    Setting("TRAINER.DAEL.WEIGHT_U", WEIGHT, "Weight of the loss on unlabelled images."),
    Setting("TRAINER.DAEL.CONF_THRE", SHARE, _THRESHOLD),
    Setting("TRAINER.DAEL.STRONG_TRANSFORMS", transforms(), _STRONG),
    Setting("TRAINER.CROSSGRAD.EPS_F", WEIGHT, "Length of the step that changes an image for the label network."),
    Setting("TRAINER.CROSSGRAD.EPS_D", WEIGHT, "Length of the step that changes an image for the domain network."),
    Setting("TRAINER.CROSSGRAD.ALPHA_F", SHARE, "Share of changed images in the loss of the label network."),
    Setting("TRAINER.CROSSGRAD.ALPHA_D", SHARE, "Share of changed images in the loss of the domain network."),
    Setting("TRAINER.DDAIG.G_ARCH", TEXT, "Name of the network that changes images."),
    Setting("TRAINER.DDAIG.LMDA", WEIGHT, "Strength of the change of an image."),
    Setting("TRAINER.DDAIG.CLAMP", FLAG, "Keep changed images between `CLAMP_MIN` and `CLAMP_MAX`."),
    Setting("TRAINER.DDAIG.CLAMP_MIN", number(-math.inf), "Smallest value of a changed image."),
    Setting("TRAINER.DDAIG.CLAMP_MAX", number(-math.inf), "Largest value of a changed image."),
    Setting("TRAINER.DDAIG.WARMUP", whole(0, 1_000_000), "Epochs on unchanged images only."),
    Setting("TRAINER.DDAIG.ALPHA", SHARE, "Share of changed images in the loss."),
    Setting("TRAINER.DAELDG.WEIGHT_U", WEIGHT, "Weight of the loss on unlabelled images; has no effect."),
    Setting("TRAINER.DAELDG.CONF_THRE", SHARE, "Threshold for unlabelled images; has no effect."),
    Setting("TRAINER.DAELDG.STRONG_TRANSFORMS", transforms(), _STRONG),
    Setting("TRAINER.DOMAINMIX.TYPE", choice("crossdomain", "random"),
            "Partner of an image: of another domain, or any."),
    Setting("TRAINER.DOMAINMIX.ALPHA", POSITIVE, "First parameter of the beta distribution."),
    Setting("TRAINER.DOMAINMIX.BETA", POSITIVE, "Second parameter of the beta distribution."),
    Setting("TRAINER.ENTMIN.LMDA", WEIGHT, "Weight of the entropy."),
    Setting("TRAINER.MEANTEACHER.WEIGHT_U", WEIGHT, "Weight of the loss on unlabelled images."),
    Setting("TRAINER.MEANTEACHER.EMA_ALPHA", SHARE, "Share that the teacher keeps of its weights in a step."),
    Setting("TRAINER.MEANTEACHER.RAMPUP", whole(1, 1_000_000),
            "Epochs until the consistency loss has its final weight."),
    Setting("TRAINER.MIXMATCH.WEIGHT_U", WEIGHT, "Weight of the loss on unlabelled images."),
    Setting("TRAINER.MIXMATCH.TEMP", POSITIVE, "Exponent that sharpens guesses."),
    Setting("TRAINER.MIXMATCH.MIXUP_BETA", POSITIVE, "Parameter of the beta distribution."),
    Setting("TRAINER.MIXMATCH.RAMPUP", STEPS, "Steps until the loss on unlabelled images has its final weight."),
    Setting("TRAINER.FIXMATCH.WEIGHT_U", WEIGHT, "Weight of the loss on unlabelled images."),
    Setting("TRAINER.FIXMATCH.CONF_THRE", SHARE, _THRESHOLD),
    Setting("TRAINER.FIXMATCH.STRONG_TRANSFORMS", transforms(), _STRONG),

    Setting("TRAINER.CLIP.MEMORY_GB", WEIGHT,
            "Memory for the activations of text encoding, in GiB; 0: no limit.", irrelevant=True),
    Setting("TRAINER.CLIP.COMPILE", TEXT,
            "Backend of `torch.compile` for both encoders; empty: none.", irrelevant=True),
    Setting("TRAINER.COOP.N_CTX", N_CTX,
            "Number of context vectors, for a random start; a prompt needs at least one context vector."),
    Setting("TRAINER.COOP.CSC", FLAG, "One context per class instead of one for all."),
    Setting("TRAINER.COOP.CTX_INIT", TEXT, _WORDS),
    Setting("TRAINER.COOP.PREC", PRECISION, _PRECISION_TEXT),
    Setting("TRAINER.COOP.CLASS_TOKEN_POSITION", choice("end", "middle", "front"),
            "Place of the class name in the prompt."),
    Setting("TRAINER.COCOOP.N_CTX", N_CTX,
            "Number of context vectors, for a random start; a prompt needs at least one context vector."),
    Setting("TRAINER.COCOOP.CTX_INIT", TEXT, _WORDS),
    Setting("TRAINER.COCOOP.PREC", PRECISION, _PRECISION_TEXT),
    Setting("TRAINER.LINEARPROBE.PREC", PRECISION, _PRECISION_TEXT),
    Setting("TRAINER.ZEROSHOTCLIP.PREC", PRECISION, _PRECISION_TEXT),
    Setting("TRAINER.ZEROSHOTCLIP2.PREC", PRECISION, _PRECISION_TEXT),

    Setting("FEATURES.CACHE", FLAG, "Keep features of validation and test images on disk.", irrelevant=True),
    Setting("FEATURES.DIR", TEXT, "Folder of the features; empty: in the user's cache folder.", irrelevant=True),
    Setting("FEATURES.TRAIN_VIEWS", whole(0, 1000),
            "Random views per training image whose features are computed once; 0: fresh views in every epoch."),
)  # fmt: skip

SETTINGS: dict[str, Setting] = {setting.key: setting for setting in TABLE}
IRRELEVANT_SETTINGS: frozenset[str] = frozenset(setting.key for setting in TABLE if setting.irrelevant)
RUN_SETTINGS: frozenset[str] = frozenset(setting.key for setting in TABLE if setting.of_run)
FILE_SETTINGS: frozenset[str] = frozenset(setting.key for setting in TABLE if setting.names_file)


def problem(key: str, value: object) -> str | None:
    """One line with key, value and range if the table has the key and its value does not fit; else None."""
    if key not in SETTINGS or SETTINGS[key].rule.holds(value):
        return None
    rule = SETTINGS[key].rule
    for name in value if isinstance(value, list | tuple) else [value]:
        if isinstance(name, str) and rule.choices and name not in rule.choices:
            known = [choice or '""' for choice in rule.choices]
            return f"{key}: {unknown(rule.kind, one_line(name, 80), known)}"
    as_typed = f"'{one_line(value, 80)}'" if isinstance(value, str) else one_line(repr(value), 80)
    return f"{key} {as_typed} is not {rule.words}. Its meaning: {SETTINGS[key].text}"
