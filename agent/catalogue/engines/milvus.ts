import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "milvus",
  name: "Milvus",
  kind: "vector-db",
  ports: [19530, 9091],
  names: ["milvus"],
  commands: ["(?:^|/)milvus run standalone\\b"],
  traits: [
    { path: "/webui/", body: "<title>[^<]*Milvus", weight: "identity", says: "the page is titled Milvus" },
  ],
  sources: ["https://milvus.io/docs/milvus-webui.md"],
  fixtures: {
    positive: [
      {
        source: "code: milvus-io/milvus 0483315 internal/http/webui/index.html",
        answers: {
          "/webui/": {
            body: "<!doctype html><html><head><title>Milvus Management</title></head><body></body></html>",
          },
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
