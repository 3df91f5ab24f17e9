// The simulated machine, read by smpirun as a platform: nodes of 8 GPUs, each GPU on its node's switch
// (NVLink), the nodes on a fat tree of full bisection with 16 nodes a leaf switch. From the environment,
// bytes a second: DWGF_SIM_NODES, DWGF_SIM_NVLINK (of a GPU, each way), DWGF_SIM_NETWORK (of a node, each
// way: all its adapters), DWGF_SIM_LATENCY (seconds, of every link).
#include <cstdlib>
#include <string>

#include <simgrid/s4u.hpp>

namespace s4u = simgrid::s4u;

namespace {

using NetPoint = simgrid::kernel::routing::NetPoint;

double number(const char* name, double otherwise) {
  const char* const value = std::getenv(name);
  return value ? std::atof(value) : otherwise;
}

unsigned nodes() {
  return static_cast<unsigned>(number("DWGF_SIM_NODES", 512));
}

/// A node of 8 GPUs. @return its place in the network and its gateway
std::pair<NetPoint*, NetPoint*> leaf(s4u::NetZone* tree, const std::vector<unsigned long>&,
                                     unsigned long id) {
  const double latency = number("DWGF_SIM_LATENCY", 1e-6);
  s4u::NetZone* const zone = s4u::create_star_zone("node-" + std::to_string(id));
  zone->set_parent(tree);
  NetPoint* const gate = zone->create_router("gate-" + std::to_string(id));
  for (unsigned gpu = 0; gpu < 8; ++gpu) {
    const std::string name = "gpu-" + std::to_string(id * 8 + gpu);
    const s4u::Host* const host = zone->create_host(name, 1e9)->seal();
    const s4u::Link* const link =
        zone->create_split_duplex_link("link-" + name, number("DWGF_SIM_NVLINK", 450e9))
            ->set_latency(latency)
            ->seal();
    zone->add_route(host->get_netpoint(), nullptr, nullptr, nullptr,
                    {{link, s4u::LinkInRoute::Direction::UP}}, true);
  }
  zone->seal();
  return {zone->get_netpoint(), gate};
}

}  // namespace

extern "C" void load_platform(const s4u::Engine&);
void load_platform(const s4u::Engine&) {
  const unsigned switches = nodes() / 16;
  s4u::create_fatTree_zone("cluster", nullptr, {2, {16, switches}, {1, 16}, {1, 1}},
                           s4u::ClusterCallbacks(leaf), number("DWGF_SIM_NETWORK", 200e9),
                           number("DWGF_SIM_LATENCY", 1e-6), s4u::Link::SharingPolicy::SPLITDUPLEX)
      ->seal();
}
