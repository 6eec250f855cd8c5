import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "swarmui",
  name: "SwarmUI",
  kind: "image",
  ports: [7801],
  names: ["swarmui"],
  runsOn: ["dotnet"],
  commands: ["SwarmUI\\.dll"],
  traits: [
    {
      path: "/Text2Image",
      body: "<title[^>]*>[^<]* - SwarmUI - ",
      weight: "identity",
      says: "the page is titled SwarmUI",
    },
  ],
  absorbs: ["comfyui"],
  sources: ["https://github.com/mcmonkeyprojects/SwarmUI"],
  fixtures: {
    positive: [
      {
        source:
          "code: mcmonkeyprojects/SwarmUI 062407c src/Core/WebServer.cs, src/Pages/Shared/_Layout.cshtml",
        answers: {
          "/": { status: 302, headers: { location: "Text2Image" } },
          "/Text2Image": {
            body: '<!DOCTYPE html>\n<html lang="en">\n<head>\n    <title id="page_title">Page is loading... - SwarmUI - Local</title>',
          },
        },
      },
      {
        source: "code: mcmonkeyprojects/SwarmUI 062407c launchtools/linux-build-logic.sh",
        process: {
          executable: "/usr/bin/dotnet",
          argv: ["dotnet", "src/bin/live_release/SwarmUI.dll"],
        },
      },
    ],
    negative: [
      {
        source: "documented: ComfyUI page",
        answers: {
          "/": { body: "<!doctype html><html><head><title>ComfyUI</title></head><body></body></html>" },
        },
      },
    ],
  },
};

export default entry;
