import { edgeSuite } from "./suite.ts";

edgeSuite("deno");
