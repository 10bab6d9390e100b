"""The rules of an order. Standard library only, synchronous, without I/O."""
