import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "ragflow",
  name: "RAGFlow",
  kind: "rag",
  ports: [80, 9380],
  names: [],
  runsOn: ["python"],
  commands: ["api/ragflow_server\\.py", "rag/svr/task_executor\\.py"],
  traits: [{ path: "/", body: "<title>RAGFlow", weight: "identity", says: "the page is titled RAGFlow" }],
  sources: ["https://ragflow.io/docs"],
  fixtures: {
    positive: [
      {
        source: "code: infiniflow/ragflow b1b8cd6 web/index.html",
        answers: {
          "/": { body: "<!doctype html><html><head><title>RAGFlow</title></head><body></body></html>" },
        },
      },
      {
        source: "documented: infiniflow/ragflow docker/launch_backend_service.sh",
        process: { executable: "/usr/bin/python3.10", argv: ["python3", "api/ragflow_server.py"] },
      },
      {
        source: "code: infiniflow/ragflow b1b8cd6 rag/svr/task_executor.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "rag/svr/task_executor.py", "0"],
        },
      },
    ],
    negative: [
      {
        source: "made up: an ordinary page",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>My application</title></head><body></body></html>",
          },
        },
      },
    ],
  },
};

export default entry;
