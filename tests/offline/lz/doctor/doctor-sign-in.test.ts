import { expect, test } from "bun:test";
import { checkSignInKeys } from "../../../../lz/doctor/sign-in.ts";

test.each([
  ["fresh", "ok"],
  ["stale", "not ok"],
  ["away", "not ok"],
  ["unasked", "note"],
  [undefined, "note"],
])("checkSignInKeys() finds keys that are %p %s", (signInKeys, state) => {
  const check = checkSignInKeys({ status: "ready", signInKeys });
  expect(check.state).toBe(state as typeof check.state);
});
