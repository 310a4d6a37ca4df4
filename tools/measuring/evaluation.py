"""An evaluation: many images, no gradients."""

from measuring import counters
from measuring.setting import Setting
from measuring.task import Task, relative


def measure(setting: Setting, images: int, plain_images: int, repeat: int) -> dict:
    """Seconds of text encoding for ``images`` images, both ways, and of the image encoder.

    The plain way is timed on ``plain_images`` images where it costs the same for every one (CoCoOp), and scaled.

    Returns:
        A record for JSON: ``seconds`` by way, what was timed, and ``difference`` (relative, of the logits).
    """
    task = Task(setting)
    x = task.features(images)
    timed = min(images, plain_images) if setting.method == "CoCoOp" else images
    few, batch = x[:timed], min(images, 20)
    pictures = task.images(batch)
    seconds = {
        "text, plain": counters.seconds(lambda: task.evaluate("plain", few), 1, task.device, 0) * images / timed,
        "text, ours": counters.seconds(lambda: task.evaluate("ours", x), repeat, task.device),
        "image encoder": counters.seconds(lambda: task.encode_images(pictures), repeat, task.device) * images / batch,
    }
    difference = relative(task.evaluate("ours", few[:5]), task.evaluate("plain", few[:5]))
    return {"seconds": seconds, "images": images, "plain_images": timed, "encoded_images": batch,
            "difference": difference}  # fmt: skip
