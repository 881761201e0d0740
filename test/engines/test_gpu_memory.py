"""What an engine allocates on the GPU is given back, also where memory runs out on the way."""

import ctypes
import gc
from types import SimpleNamespace

import numpy as np
import pytest

from xview_localizer.engines.engine import EngineError
from xview_localizer.engines.tensorrt import cuda
from xview_localizer.engines.tensorrt.library import TensorRtLibrary
from xview_localizer.engines.tensorrt.tensorrt_engine import TensorRtEngine

FREES = {"cudaMalloc": "cudaFree", "cudaMallocHost": "cudaFreeHost"}


class Memory:
    """Stands in for the CUDA runtime: the first `enough_for` allocations succeed."""

    def __init__(self, enough_for: int) -> None:
        self.left, self.held = enough_for, {}

    def call(self, function: str, *arguments):
        if function in FREES:
            if self.left == 0:
                raise EngineError(f"{function} failed: out of memory")
            self.left -= 1
            memory = ctypes.create_string_buffer(arguments[0])
            address = ctypes.addressof(memory)
            self.held[address] = (FREES[function], memory)
            return address
        if function in FREES.values():
            assert self.held.pop(arguments[0])[0] == function
        return None


class TwoTensors:
    """As much of TensorRT's engine as is needed before it runs: x in, y out, four numbers each."""

    num_io_tensors = 2

    def get_tensor_name(self, index):
        return "xy"[index]

    def get_tensor_shape(self, _name):
        return (4,)

    def get_tensor_dtype(self, _name):
        return np.float32

    def get_tensor_mode(self, name):
        return name == "x"

    def get_tensor_profile_shape(self, _name, _profile):
        return [(4,)] * 3

    def create_execution_context(self):
        return SimpleNamespace(
            get_tensor_shape=self.get_tensor_shape,
            set_input_shape=lambda *_: True,
            set_tensor_address=lambda *_: True,
            execute_async_v3=lambda _stream: True,
        )


class Logger:
    ERROR = 2

    def __init__(self, _level):
        pass


TENSORRT = SimpleNamespace(
    Logger=Logger,
    Runtime=lambda _logger: SimpleNamespace(deserialize_cuda_engine=lambda _plan: TwoTensors()),
    TensorIOMode=SimpleNamespace(INPUT=True),
    nptype=lambda dtype: dtype,
)


@pytest.fixture
def memory(monkeypatch):
    memory = Memory(enough_for=100)
    monkeypatch.setattr(cuda, "call", memory.call)
    monkeypatch.setattr(cuda, "this_gpu", lambda: cuda.Gpu("Orin", "8.7"))
    monkeypatch.setattr(cuda, "new_stream", lambda: 7)
    kinds = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    monkeypatch.setattr(cuda, "_runtime", lambda: SimpleNamespace(cudaMemcpyKind=kinds))
    return memory


def opened():
    return TensorRtEngine("two", b"plan", TensorRtLibrary("tensorrt", TENSORRT))


def test_memory_is_given_back_with_the_engine(memory):
    engine = opened()
    assert len(memory.held) == 4  # x and y, each on the GPU and in page-locked memory
    del engine
    gc.collect()
    assert not memory.held


@pytest.mark.parametrize("enough_for", [0, 1, 2, 3])
def test_memory_is_given_back_where_it_does_not_suffice(memory, enough_for):
    memory.left = enough_for
    with pytest.raises(EngineError, match="out of memory"):
        opened()
    gc.collect()
    assert not memory.held
