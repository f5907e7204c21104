// Transposable masks by LEMON's network simplex: one transport problem for each tile.
#include <lemon/network_simplex.h>
#include <lemon/smart_graph.h>

#include <cstdint>

namespace {

using Graph = lemon::SmartDigraph;
using Simplex = lemon::NetworkSimplex<Graph, int, std::int64_t>;

// Rows supply n units, columns take n, and an arc for each entry carries at most one. The graph and
// the solver are built once: only the costs change from tile to tile.
class TileFlow {
  public:
    TileFlow(int n, int m) : cost_(graph_), capacity_(graph_), supply_(graph_) {
        graph_.reserveNode(2 * m);
        graph_.reserveArc(m * m);
        for (int i = 0; i < 2 * m; ++i) supply_[graph_.addNode()] = i < m ? n : -n;
        for (int i = 0; i < m; ++i)
            for (int j = 0; j < m; ++j)
                capacity_[graph_.addArc(graph_.nodeFromId(i), graph_.nodeFromId(m + j))] = 1;
    }

    bool solve(const std::int64_t* scores, std::uint8_t* mask, Simplex& simplex) {
        const int arcs = graph_.arcNum();
        for (int a = 0; a < arcs; ++a) cost_[graph_.arcFromId(a)] = -scores[a];
        simplex.costMap(cost_);
        if (simplex.run() != Simplex::OPTIMAL) return false;
        for (int a = 0; a < arcs; ++a)
            mask[a] = static_cast<std::uint8_t>(simplex.flow(graph_.arcFromId(a)));
        return true;
    }

    void attach(Simplex& simplex) { simplex.upperMap(capacity_).supplyMap(supply_); }
    const Graph& graph() const { return graph_; }

  private:
    Graph graph_;
    Graph::ArcMap<std::int64_t> cost_;
    Graph::ArcMap<int> capacity_;
    Graph::NodeMap<int> supply_;
};

}  // namespace

// Both arrays hold `tiles` tiles of m x m in C order. Returns how many tiles were solved.
extern "C" std::int64_t solve_tiles(const std::int64_t* scores, std::int64_t tiles, int n, int m,
                                    std::uint8_t* mask) {
    TileFlow flow(n, m);
    Simplex simplex(flow.graph());
    flow.attach(simplex);
    const std::int64_t size = std::int64_t{m} * m;
    for (std::int64_t tile = 0; tile < tiles; ++tile)
        if (!flow.solve(scores + tile * size, mask + tile * size, simplex)) return tile;
    return tiles;
}
