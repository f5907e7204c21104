"""Other ways to a transposable mask, each behind the same small interface."""

from __future__ import annotations

from bench.peers import entropic, greedy, highs, lemon, networkx_flow, ortools_flow, paper, tnm
from bench.peers.base import Peer

PEERS: tuple[Peer, ...] = (
    *lemon.PEERS,
    *ortools_flow.PEERS,
    *highs.PEERS,
    *networkx_flow.PEERS,
    *entropic.PEERS,
    *greedy.PEERS,
    *paper.PEERS,
    *tnm.PEERS,
)

__all__ = ["PEERS", "Peer"]
