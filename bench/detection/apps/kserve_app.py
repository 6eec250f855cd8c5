"""A KServe model server with one model that returns its input."""

import argparse

from kserve import Model, ModelServer, model_server


class Echo(Model):
    """Returns the request as the prediction."""

    def __init__(self, name: str):
        super().__init__(name)
        self.ready = True

    def predict(self, payload, headers=None):
        return {"predictions": payload["instances"]}


parser = argparse.ArgumentParser(parents=[model_server.parser])
arguments, _ = parser.parse_known_args()
ModelServer(http_port=arguments.http_port, grpc_port=arguments.grpc_port).start([Echo("echo")])
