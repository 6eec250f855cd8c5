import { edgeSuite } from "./suite.ts";

edgeSuite("workerd");
