"""Tests of the operations on the CPU."""
