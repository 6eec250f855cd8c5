import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "whisper-cpp",
  name: "whisper.cpp server",
  kind: "speech",
  ports: [8080],
  names: ["whisper-server", "whisper-cli", "whisper-stream", "whisper-command"],
  libraries: ["/whisper\\.cpp[^/]*/(?:.*/)?(?:libwhisper\\.(?:so|dylib)|whisper\\.dll)"],
  traits: [
    {
      path: "/",
      headers: { server: "^whisper\\.cpp" },
      weight: "identity",
      says: "the Server header is whisper.cpp",
    },
    {
      path: "/",
      body: "<title>Whisper\\.cpp Server",
      weight: "identity",
      says: "the page is titled Whisper.cpp Server",
    },
  ],
  sources: ["https://github.com/ggml-org/whisper.cpp/blob/master/examples/server/server.cpp"],
  fixtures: {
    positive: [
      {
        source: "code: ggml-org/whisper.cpp v1.9.3 examples/server/server.cpp",
        answers: {
          "/": {
            headers: { server: "whisper.cpp", "access-control-allow-origin": "*" },
            body: "<html>\n    <head>\n        <title>Whisper.cpp Server</title>",
          },
        },
      },
    ],
    negative: [
      {
        source:
          "documented: ffmpeg.org/ffmpeg-filters.html#whisper-1, which loads the library for every conversion",
        process: {
          executable: "/usr/bin/ffmpeg",
          argv: ["ffmpeg", "-i", "a.mp4", "b.webm"],
          libraries: ["/usr/lib/x86_64-linux-gnu/libwhisper.so.1.8"],
        },
      },
      {
        source: "documented: whisper-asr-webservice",
        answers: { "/openapi.json": { body: { info: { title: "Whisper ASR Webservice" } } } },
      },
    ],
  },
};

export default entry;
