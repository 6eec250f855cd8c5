import { expect, test } from "bun:test";
import { clientIp, networkOf } from "../../../../edge/http/client-ip.ts";

const asked = (headers: Record<string, string>) => new Request("http://edge.test/", { headers });

test("clientIp() uses only a header that the configuration names", () => {
  const ofConnection = clientIp(() => "192.0.2.1", undefined);
  expect(ofConnection(asked({ "cf-connecting-ip": "203.0.113.9", "x-forwarded-for": "203.0.113.9" }))).toBe(
    "192.0.2.1",
  );
});

test("clientIp() returns the last address of the named header, or the connection's address if that is invalid", () => {
  const sourceIp = clientIp(() => "192.0.2.1", "x-forwarded-for");
  for (const [header, address] of [
    ["203.0.113.9", "203.0.113.9"],
    ["198.51.100.1, 203.0.113.9", "203.0.113.9"],
    ["2001:db8::1", "2001:db8::1"],
    ["198.51.100.1, 203.0.113.9:4711", "203.0.113.9"],
    ["[2001:db8::1]:4711", "2001:db8::1"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["[<script>]:1", "192.0.2.1"],
    ["203.0.113.9, <script>", "192.0.2.1"],
    [`${"1".repeat(46)}`, "192.0.2.1"],
    ["", "192.0.2.1"],
  ] as const)
    expect(sourceIp(asked({ "x-forwarded-for": header }))).toBe(address);
});

test("clientIp() returns an address or `unknown`, for any input from the runtime", () => {
  for (const [said, address] of [
    ["fe80::1%eth0", "fe80::1"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
    ["x".repeat(200), "unknown"],
    ["unix", "unknown"],
    ["", "unknown"],
  ] as const)
    expect(clientIp(() => said, undefined)(asked({}))).toBe(address);
});

test("networkOf() treats an IPv6 network as one client, and each IPv4 address as one client", () => {
  for (const [address, network] of [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:0001:2::ffff", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:0:1::1", "2001:db8:0:1::/64"],
    ["::1", "0:0:0:0::/64"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
    ["unknown", "unknown"],
  ] as const)
    expect([address, networkOf(address)]).toEqual([address, network]);
});
