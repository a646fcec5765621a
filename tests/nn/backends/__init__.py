"""Tests of the network's operations: the reference against outside oracles, the fast back ends against it."""
