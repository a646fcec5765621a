"""The CUDA back end: kernels in Numba, tensor cores through the instructions of `ptx`.

Nothing here is imported before a GPU is asked for; `nn.backends.select` says whether there is one.
"""
