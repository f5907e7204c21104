"""Masks of one tile: listed, ranked and drawn at random."""

from __future__ import annotations

from tnm_core.listing.batches import rank_masks, unrank_masks
from tnm_core.listing.enumeration import decode_masks, encode_masks, enumerate_masks
from tnm_core.listing.ranking import rank_mask, unrank_mask
from tnm_core.listing.sampling import sample_masks

__all__ = [
    "decode_masks",
    "encode_masks",
    "enumerate_masks",
    "rank_mask",
    "rank_masks",
    "sample_masks",
    "unrank_mask",
    "unrank_masks",
]
