"""Every config key of the engine with its default value and meaning."""

from yacs.config import CfgNode as CN

_C = CN()
_C.VERSION = 1
_C.OUTPUT_DIR = "./output"  # logs, checkpoints, tensorboard files, confusion matrix
_C.RESUME = ""  # folder to resume from; empty: look in OUTPUT_DIR
_C.SEED = -1  # >= 0: the launch script seeds all generators with it
_C.USE_CUDA = True  # if there is a CUDA device
_C.VERBOSE = True  # print the names of what is built, and the data summary

# ---------------------------------------------------------------- images
_C.INPUT = CN()
_C.INPUT.SIZE = (224, 224)  # height, width
_C.INPUT.INTERPOLATION = "bilinear"
_C.INPUT.TRANSFORMS = ()  # names; their order here has no effect
_C.INPUT.NO_TRANSFORM = False  # hand over PIL images
_C.INPUT.PIXEL_MEAN = [0.485, 0.456, 0.406]
_C.INPUT.PIXEL_STD = [0.229, 0.224, 0.225]
_C.INPUT.CROP_PADDING = 4  # pixels, random_crop
_C.INPUT.RRCROP_SCALE = (0.08, 1.0)  # share of the area, random_resized_crop
_C.INPUT.CUTOUT_N = 1  # holes
_C.INPUT.CUTOUT_LEN = 16  # pixels
_C.INPUT.GN_MEAN = 0.0  # gaussian_noise
_C.INPUT.GN_STD = 0.15
_C.INPUT.RANDAUGMENT_N = 2  # operations an image
_C.INPUT.RANDAUGMENT_M = 10  # magnitude
_C.INPUT.COLORJITTER_B = 0.4  # brightness
_C.INPUT.COLORJITTER_C = 0.4  # contrast
_C.INPUT.COLORJITTER_S = 0.4  # saturation
_C.INPUT.COLORJITTER_H = 0.1  # hue
_C.INPUT.RGS_P = 0.2  # probability, randomgrayscale
_C.INPUT.GB_P = 0.5  # probability, gaussian_blur
_C.INPUT.GB_K = 21  # kernel in pixels, odd

# ---------------------------------------------------------------- dataset
_C.DATASET = CN()
_C.DATASET.ROOT = ""
_C.DATASET.NAME = ""
_C.DATASET.SOURCE_DOMAINS = ()
_C.DATASET.TARGET_DOMAINS = ()
_C.DATASET.NUM_LABELED = -1  # labelled images in total, semi-supervised learning
_C.DATASET.NUM_SHOTS = -1  # images a class; < 1: all
_C.DATASET.VAL_PERCENT = 0.1  # validation share, semi-supervised learning
_C.DATASET.STL10_FOLD = -1
_C.DATASET.CIFAR_C_TYPE = ""
_C.DATASET.CIFAR_C_LEVEL = 1  # 1 to 5
_C.DATASET.ALL_AS_UNLABELED = False  # labelled images also serve as unlabelled ones
_C.DATASET.UNREADABLE = "error"  # or "skip": leave images that cannot be read out of all lists
_C.DATASET.UNLABELED = ""  # of datasets with domains: images of the "target", or the "rest" of the source; "": stock

# ---------------------------------------------------------------- loaders
_C.DATALOADER = CN()
_C.DATALOADER.NUM_WORKERS = 4
_C.DATALOADER.K_TRANSFORMS = 1  # views of each training image
_C.DATALOADER.RETURN_IMG0 = False  # add the image without augmentation
_C.DATALOADER.DECODED_MB = 512  # memory for decoded training images; 0: decode them anew every time
_C.DATALOADER.PERSISTENT_WORKERS = False  # training workers outlive an epoch; other random draws than upstream's

_C.DATALOADER.TRAIN_X = CN()  # labelled
_C.DATALOADER.TRAIN_X.SAMPLER = "RandomSampler"
_C.DATALOADER.TRAIN_X.BATCH_SIZE = 32
_C.DATALOADER.TRAIN_X.N_DOMAIN = 0  # domains a batch; <= 0: all
_C.DATALOADER.TRAIN_X.N_INS = 16  # images a class, RandomClassSampler

_C.DATALOADER.TRAIN_U = CN()  # unlabelled
_C.DATALOADER.TRAIN_U.SAME_AS_X = True  # take the four values of TRAIN_X
_C.DATALOADER.TRAIN_U.SAMPLER = "RandomSampler"
_C.DATALOADER.TRAIN_U.BATCH_SIZE = 32
_C.DATALOADER.TRAIN_U.N_DOMAIN = 0
_C.DATALOADER.TRAIN_U.N_INS = 16

_C.DATALOADER.TEST = CN()  # validation and test
_C.DATALOADER.TEST.SAMPLER = "SequentialSampler"
_C.DATALOADER.TEST.BATCH_SIZE = 32

# ---------------------------------------------------------------- model
_C.MODEL = CN()
_C.MODEL.INIT_WEIGHTS = ""  # file; what fits by name and size is loaded
_C.MODEL.BACKBONE = CN()
_C.MODEL.BACKBONE.NAME = ""
_C.MODEL.BACKBONE.PRETRAINED = True
_C.MODEL.HEAD = CN()  # built only with both a name and hidden layers
_C.MODEL.HEAD.NAME = ""
_C.MODEL.HEAD.HIDDEN_LAYERS = ()
_C.MODEL.HEAD.ACTIVATION = "relu"
_C.MODEL.HEAD.BN = True
_C.MODEL.HEAD.DROPOUT = 0.0

# ---------------------------------------------------------------- optimisation
_C.OPTIM = CN()
_C.OPTIM.NAME = "adam"
_C.OPTIM.LR = 0.0003
_C.OPTIM.WEIGHT_DECAY = 5e-4
_C.OPTIM.MOMENTUM = 0.9  # sgd, rmsprop
_C.OPTIM.SGD_DAMPNING = 0  # the spelling is part of the interface
_C.OPTIM.SGD_NESTEROV = False
_C.OPTIM.RMSPROP_ALPHA = 0.99
_C.OPTIM.ADAM_BETA1 = 0.9  # all Adam-like optimisers
_C.OPTIM.ADAM_BETA2 = 0.999
_C.OPTIM.STAGED_LR = False  # NEW_LAYERS at LR, all else at LR * BASE_LR_MULT
_C.OPTIM.NEW_LAYERS = ()  # names of child modules
_C.OPTIM.BASE_LR_MULT = 0.1
_C.OPTIM.LR_SCHEDULER = "single_step"
_C.OPTIM.STEPSIZE = (-1,)  # epochs; single_step takes the last, <= 0 means MAX_EPOCH
_C.OPTIM.GAMMA = 0.1
_C.OPTIM.MAX_EPOCH = 10  # also the cosine period
_C.OPTIM.WARMUP_EPOCH = -1  # > 0: warm up
_C.OPTIM.WARMUP_TYPE = "linear"  # or "constant"
_C.OPTIM.WARMUP_CONS_LR = 1e-5  # rate of the constant warm-up
_C.OPTIM.WARMUP_MIN_LR = 1e-5  # first rate of the linear warm-up
_C.OPTIM.WARMUP_RECOUNT = True  # the main schedule starts at 0 after the warm-up

# ---------------------------------------------------------------- training and testing
_C.TRAIN = CN()
_C.TRAIN.CHECKPOINT_FREQ = 0  # epochs; <= 0: only after the last
_C.TRAIN.CHECKPOINT_BATCHES = 0  # batches between two saves within an epoch; 0: none
_C.TRAIN.CHECKPOINT_SECONDS = 0.0  # the same in seconds; the first batch that ends after them is the last before a save
_C.TRAIN.PRINT_FREQ = 10  # batches
_C.TRAIN.COUNT_ITER = "train_x"  # length of an epoch of TrainerXU: train_x, train_u, smaller_one

_C.TEST = CN()
_C.TEST.EVALUATOR = "Classification"
_C.TEST.PER_CLASS_RESULT = False
_C.TEST.COMPUTE_CMAT = False  # save a confusion matrix
_C.TEST.NO_TEST = False  # no evaluation during training
_C.TEST.SPLIT = "test"
_C.TEST.FINAL_MODEL = "last_step"  # or "best_val": evaluate each epoch, keep the best

# ---------------------------------------------------------------- trainers
_C.TRAINER = CN()
_C.TRAINER.NAME = ""

# Domain adaptation
_C.TRAINER.MCD = CN()
_C.TRAINER.MCD.N_STEP_F = 4
_C.TRAINER.MME = CN()
_C.TRAINER.MME.LMDA = 0.1
_C.TRAINER.CDAC = CN()
_C.TRAINER.CDAC.CLASS_LR_MULTI = 10
_C.TRAINER.CDAC.RAMPUP_COEF = 30
_C.TRAINER.CDAC.RAMPUP_ITRS = 1000
_C.TRAINER.CDAC.TOPK_MATCH = 5
_C.TRAINER.CDAC.P_THRESH = 0.95
_C.TRAINER.CDAC.STRONG_TRANSFORMS = ()
_C.TRAINER.SE = CN()
_C.TRAINER.SE.EMA_ALPHA = 0.999
_C.TRAINER.SE.CONF_THRE = 0.95
_C.TRAINER.SE.RAMPUP = 300
_C.TRAINER.M3SDA = CN()
_C.TRAINER.M3SDA.LMDA = 0.5
_C.TRAINER.M3SDA.N_STEP_F = 4
_C.TRAINER.DAEL = CN()
_C.TRAINER.DAEL.WEIGHT_U = 0.5
_C.TRAINER.DAEL.CONF_THRE = 0.95
_C.TRAINER.DAEL.STRONG_TRANSFORMS = ()

# Domain generalization
_C.TRAINER.CROSSGRAD = CN()
_C.TRAINER.CROSSGRAD.EPS_F = 1.0
_C.TRAINER.CROSSGRAD.EPS_D = 1.0
_C.TRAINER.CROSSGRAD.ALPHA_F = 0.5
_C.TRAINER.CROSSGRAD.ALPHA_D = 0.5
_C.TRAINER.DDAIG = CN()
_C.TRAINER.DDAIG.G_ARCH = ""
_C.TRAINER.DDAIG.LMDA = 0.3
_C.TRAINER.DDAIG.CLAMP = False
_C.TRAINER.DDAIG.CLAMP_MIN = -1.0
_C.TRAINER.DDAIG.CLAMP_MAX = 1.0
_C.TRAINER.DDAIG.WARMUP = 0
_C.TRAINER.DDAIG.ALPHA = 0.5
_C.TRAINER.DAELDG = CN()
_C.TRAINER.DAELDG.WEIGHT_U = 0.5
_C.TRAINER.DAELDG.CONF_THRE = 0.95
_C.TRAINER.DAELDG.STRONG_TRANSFORMS = ()
_C.TRAINER.DOMAINMIX = CN()
_C.TRAINER.DOMAINMIX.TYPE = "crossdomain"
_C.TRAINER.DOMAINMIX.ALPHA = 1.0
_C.TRAINER.DOMAINMIX.BETA = 1.0

# Semi-supervised learning
_C.TRAINER.ENTMIN = CN()
_C.TRAINER.ENTMIN.LMDA = 1e-3
_C.TRAINER.MEANTEACHER = CN()
_C.TRAINER.MEANTEACHER.WEIGHT_U = 1.0
_C.TRAINER.MEANTEACHER.EMA_ALPHA = 0.999
_C.TRAINER.MEANTEACHER.RAMPUP = 5
_C.TRAINER.MIXMATCH = CN()
_C.TRAINER.MIXMATCH.WEIGHT_U = 100.0
_C.TRAINER.MIXMATCH.TEMP = 2.0
_C.TRAINER.MIXMATCH.MIXUP_BETA = 0.75
_C.TRAINER.MIXMATCH.RAMPUP = 20000
_C.TRAINER.FIXMATCH = CN()
_C.TRAINER.FIXMATCH.WEIGHT_U = 1.0
_C.TRAINER.FIXMATCH.CONF_THRE = 0.95
_C.TRAINER.FIXMATCH.STRONG_TRANSFORMS = ()
