"""A server of grpcio that answers methods with messages: {"/pkg.Service/Method": {"hex": "0a…"} or {"status": 3, "message": "…"}}.

Prints its port. Ends with its standard input. With --tls KEY CERTIFICATE it serves TLS.
"""

import json
import sys
from concurrent import futures

import grpc

answers = json.loads(sys.argv[1])


class Methods(grpc.GenericRpcHandler):
    def service(self, call):
        answer = answers.get(call.method)
        if answer is None:
            return None

        def respond(_request, context):
            if "status" in answer:
                code = next(one for one in grpc.StatusCode if one.value[0] == answer["status"])
                context.abort(code, answer["message"])
            return bytes.fromhex(answer["hex"])

        return grpc.unary_unary_rpc_method_handler(respond)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
server.add_generic_rpc_handlers((Methods(),))
if "--tls" in sys.argv:
    at = sys.argv.index("--tls")
    key, certificate = (open(path, "rb").read() for path in sys.argv[at + 1 : at + 3])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(0)
