"""Tests of skadetect; the tree mirrors the package."""
