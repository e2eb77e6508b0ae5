"""Weighted shortest paths between two nodes of long, thin graphs: many hops a path."""

import random

import networkx as nx
from speedproof_workload import seed, start, stop

rng = random.Random(seed())
WIDTH, LENGTH = 3, rng.randrange(1200, 1300)


def weight():
    # So many possible weights that the shortest path is the only one.
    return rng.randrange(1, 10**9)


def thin_grid(graph):
    edges = [(n, n + WIDTH) for n in range(WIDTH * (LENGTH - 1))]
    edges += [(n, n + 1) for n in range(WIDTH * LENGTH) if (n + 1) % WIDTH]
    if graph.is_directed():
        edges += [(b, a) for a, b in edges]
    graph.add_weighted_edges_from((a, b, weight()) for a, b in edges)
    return graph


def queries(count):
    near, far = range(60 * WIDTH), range((LENGTH - 60) * WIDTH, LENGTH * WIDTH)
    return [(rng.choice(near), rng.choice(far)) for _ in range(count)]


grids = [thin_grid(nx.Graph()), thin_grid(nx.DiGraph())]
asked = [(grid, source, target) for grid in grids for source, target in queries(3)]

start()
found = []
for graph, source, target in asked:
    found.append(nx.bidirectional_dijkstra(graph, source, target))
    found.append(nx.single_source_dijkstra(graph, source, target))
stop([[distance, list(path)] for distance, path in found])
