"""Description of the machine and the installed versions, for the head of a log."""

import importlib.metadata
import os
import platform
import sys

_PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "yacs", "tensorboard", "timm", "clip-anytorch", "triton")


def collect_env_info():
    """Return versions and hardware as text, one ``name: value`` a line, Pillow's version last.

    The facts are those of ``torch.utils.collect_env``, which starts pip, the compiler and the
    driver's tools to gather them and takes seconds. Here all come from loaded modules and from
    files, so that a run starts at once.
    """
    import PIL
    import torch

    cuda = torch.cuda.is_available()
    gpus = [f"GPU {i}: {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())] if cuda else []
    lines = [
        f"PyTorch version: {torch.__version__}",
        f"Is debug build: {torch.version.debug}",
        f"CUDA used to build PyTorch: {torch.version.cuda}",
        f"ROCM used to build PyTorch: {torch.version.hip or 'N/A'}",
        "",
        f"OS: {platform.platform()}",
        f"Libc version: {'-'.join(platform.libc_ver()) or 'N/A'}",
        f"Python version: {' '.join(sys.version.split())}",
        f"Is CUDA available: {cuda}",
        f"GPU models and configuration: {', '.join(gpus) or 'none'}",
        f"Nvidia driver version: {_driver_version()}",
        f"cuDNN version: {torch.backends.cudnn.version() if cuda else 'N/A'}",
        f"CPU: {_cpu_name()} ({os.cpu_count()} logical cores)",
        f"Threads of PyTorch: {torch.get_num_threads()}",
        "",
        "Versions of relevant libraries:",
        *(f"[pip3] {name}=={version}" for name, version in _installed(_PACKAGES)),
        f"        Pillow ({PIL.__version__})",
    ]
    return "\n".join(lines)


def _installed(names):
    for name in names:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue


def _cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.lower().startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _driver_version():
    try:
        with open("/proc/driver/nvidia/version", encoding="utf-8", errors="replace") as file:
            return " ".join(file.readline().split())
    except OSError:
        return "N/A"
