"""On PYTHONPATH, gives every process a GPU that is none: torch sees one CUDA device, whose memory is the host's.

PRETENDED_GPU is the library made of device.cpp; PRETENDED_GPU_MIB is how much memory the device has. Its kernels are
those of the CPU, so that results can be compared; what a GPU would refuse is refused all the same. Attention is
computed by its definition.
"""

from __future__ import annotations

import ctypes
import importlib.abc
import importlib.machinery
import os
import sys
from types import SimpleNamespace

NAME = "Pretended A100"
UUID = "00000000-0000-0000-0000-000000000000"


class Watch(importlib.abc.MetaPathFinder):
    """Adds the device to torch as soon as that is imported, and imports nothing by itself."""

    def find_spec(self, name, path, target=None):
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module

        def exec_module(module):
            for library in ("libc10.so", "libtorch_cpu.so"):
                ctypes.CDLL(os.path.join(os.path.dirname(spec.origin), "lib", library), ctypes.RTLD_GLOBAL)
            device = ctypes.CDLL(
                os.environ["PRETENDED_GPU"]
            )  # before torch itself, which looks once and for all
            execute(module)
            add_device(module, device)

        spec.loader.exec_module = exec_module
        return spec


def add_device(torch, device):
    device.pretended_limit.argtypes = [ctypes.c_int64]
    for count in (device.pretended_used, device.pretended_peak, device.pretended_clock):
        count.restype = ctypes.c_int64
    total = int(os.environ.get("PRETENDED_GPU_MIB", "0")) << 20
    device.pretended_limit(total)
    properties = SimpleNamespace(name=NAME, total_memory=total or 40 << 30, major=8, minor=0, uuid=UUID)
    cuda = torch.cuda
    cuda.is_available = lambda: True
    cuda.is_initialized = lambda: True
    cuda._lazy_init = lambda: None
    cuda.device_count = lambda: 1
    cuda.current_device = lambda: 0
    cuda.set_device = lambda device: None
    cuda.synchronize = lambda device_=None: device.pretended_synchronize()
    cuda.kernels_done = device.pretended_clock  # a clock that goes on when somebody waits for the device
    cuda.empty_cache = lambda: None
    cuda.is_bf16_supported = lambda including_emulation=True: True
    cuda.get_device_name = lambda device=None: NAME
    cuda.get_device_properties = lambda device=None: properties
    cuda.get_device_capability = lambda device=None: (8, 0)
    cuda.set_per_process_memory_fraction = lambda share, device_=None: device.pretended_limit(
        int(total * share)
    )
    cuda.memory_allocated = lambda device_=None: device.pretended_used()
    cuda.max_memory_allocated = lambda device_=None: device.pretended_peak()
    cuda.reset_peak_memory_stats = lambda device_=None: device.pretended_forget_peak()
    cuda.manual_seed_all = cuda.manual_seed = lambda seed: None
    host_clone = torch.UntypedStorage.clone

    def clone(storage):  # torch for the CPU does not know how to make a storage elsewhere
        if storage.device.type != "cuda":
            return host_clone(storage)
        there = torch.empty(0, dtype=torch.uint8, device="cuda").set_(storage)
        return torch.empty_like(there).copy_(there).untyped_storage()

    torch.UntypedStorage.clone = clone


if "PRETENDED_GPU" in os.environ:
    sys.meta_path.insert(0, Watch())
