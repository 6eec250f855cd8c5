import type { CatalogEntry } from "../entry.ts";

/**
 * Version 2 starts a separate program that serves gRPC on a unix socket. Version 3 runs in threads of the
 * Python process that imports it, and loads no native library. For version 3, only the stand-alone server can
 * therefore be recognised.
 */
const entry: CatalogEntry = {
  id: "milvus-lite",
  name: "Milvus Lite",
  kind: "vector-db",
  ports: [19530],
  names: ["milvus", "milvus-lite"],
  runsOn: ["python"],
  binaries: ["/milvus_lite/lib/milvus$"],
  libraries: ["/milvus_lite/lib/libknowhere"],
  commands: ["(?:^|/)milvus-lite server\\b", "-m milvus_lite server\\b"],
  traits: [],
  sources: ["https://milvus.io/docs/milvus_lite.md"],
  fixtures: {
    positive: [
      {
        source: "recorded from milvus-lite 2.5.1 (PyPI), the child process of pymilvus 2.5.10",
        process: {
          executable: "/venv/lib/python3.11/site-packages/milvus_lite/lib/milvus",
          argv: [
            "/venv/lib/python3.11/site-packages/milvus_lite/lib/milvus",
            "/srv/demo.db",
            "unix:/tmp/tmpfr0nqt72_demo.db.sock",
            "ERROR",
            "/srv/.demo.db.lock",
          ],
          libraries: ["/venv/lib/python3.11/site-packages/milvus_lite/lib/libknowhere.so"],
        },
      },
      {
        source: "recorded from milvus-lite 3.2.2 (PyPI), its server",
        process: {
          executable: "/usr/bin/python3.11",
          argv: [
            "/venv/bin/python3",
            "/venv/bin/milvus-lite",
            "server",
            "--data-dir",
            "/srv/demo",
            "--port",
            "34120",
          ],
        },
      },
      {
        source: "code: milvus-lite 3.2.2 (PyPI) __main__.py, cmdline.py",
        process: {
          executable: "/usr/bin/python3.11",
          argv: ["python3", "-m", "milvus_lite", "server", "--data-dir", "/srv/demo"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a Python program that installs the package",
        process: { executable: "/usr/bin/python3.12", argv: ["pip", "install", "milvus-lite"] },
      },
      {
        source:
          "recorded from milvus-lite 3.2.2 (PyPI) in a Python process whose libraries are also used by other programs",
        process: {
          executable: "/usr/bin/python3.11",
          argv: ["/venv/bin/python", "app.py"],
          libraries: ["/venv/lib/python3.11/site-packages/faiss/libfaiss.so"],
        },
      },
    ],
  },
};

export default entry;
