"""One Ray cluster with one application of Ray Serve."""

import signal
import sys

import ray
from ray import serve

host, port, dashboard_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Answer:
    async def __call__(self, request):
        return "ok"


ray.init(
    num_cpus=2,
    include_dashboard=True,
    dashboard_host=host,
    dashboard_port=dashboard_port,
    object_store_memory=100 * 1024 * 1024,
    _node_ip_address=host,
)
serve.start(http_options={"host": host, "port": port})
serve.run(Answer.bind())
signal.pause()
