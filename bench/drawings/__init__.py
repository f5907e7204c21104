"""Drawings of the explanation: small tiles, solved by the library while they are drawn."""
