"""The device that a run computes on."""

from hiercls.words.errors import ConfigurationError, DeviceError


def require_device(name: str) -> None:
    """Refuse a device that torch does not know or that is not there.

    Args:
        name: `cpu`, `cuda` or `cuda:k`.

    Raises:
        ConfigurationError: no such kind of device.
        DeviceError: this machine has none.
    """
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigurationError(f"device: {name!r} is unknown; write cpu, cuda or cuda:k") from None
    if device.type == "cpu":
        return
    if device.type != "cuda":
        raise ConfigurationError(f"device: {name!r} is not supported; write cpu, cuda or cuda:k")
    if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device: {name} is not here; torch {torch.__version__} sees {torch.cuda.device_count()} GPUs"
        )
