"""Proofs that the running system keeps its promises."""
