"""Training engine with the public interface of Dassl 0.6.3, written for current PyTorch."""

# The version names the interface that is implemented; clients compare against it.
# The distribution (dassl-engine) has a version of its own in pyproject.toml.
__version__ = "0.6.3"
__author__ = "The dassl-engine authors"
__homepage__ = "https://github.com/KaiyangZhou/Dassl.pytorch"
