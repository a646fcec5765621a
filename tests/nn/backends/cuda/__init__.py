"""Tests of the CUDA back end: in the simulator, by the compiler, and on a GPU where there is one."""
