import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  createHeaderDecoder,
  encodeHeaders,
  MalformedHeaders,
} from "../../../../../agent/scan/http2/hpack.ts";

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replace(/\s/g, ""), "hex"));

describe("createHeaderDecoder()", () => {
  // RFC 7541 Appendix C.6: three responses on one connection, with Huffman codes and evictions.
  test("reads the examples of RFC 7541 with Huffman codes", () => {
    const decode = createHeaderDecoder();
    // The examples use a dynamic table of 256 bytes. The first block sets this size.
    const first =
      "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
    const date = ["date", "Mon, 21 Oct 2013 20:13:21 GMT"];
    expect(decode(bytes(first))).toEqual([
      [":status", "302"],
      ["cache-control", "private"],
      date as [string, string],
      ["location", "https://www.example.com"],
    ]);
    expect(decode(bytes("4883 640e ffc1 c0bf"))).toEqual([
      [":status", "307"],
      ["cache-control", "private"],
      date as [string, string],
      ["location", "https://www.example.com"],
    ]);
    const third =
      "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07";
    expect(decode(bytes(third))).toEqual([
      [":status", "200"],
      ["cache-control", "private"],
      ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
      ["location", "https://www.example.com"],
      ["content-encoding", "gzip"],
      ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
    ]);
  });

  test("decodes what encodeHeaders() writes, for any length", () => {
    const value = fc.string({ unit: "grapheme-ascii", maxLength: 400 });
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value), { maxLength: 20 }), (fields) => {
        expect(createHeaderDecoder()(encodeHeaders(fields))).toEqual(fields);
      }),
    );
  });

  test.each([
    ["an entry that nobody has", "ff00"],
    ["a table larger than allowed", "3fe21f"],
    ["a number without an end", "7fffffffffffffff"],
    ["a text that ends early", "00056161"],
    ["a Huffman code with the end in it", "0084ffffffff0161"],
    ["padding of zeros", "00811c00"],
  ])("refuses %s", (_, hex) => {
    expect(() => createHeaderDecoder()(bytes(hex))).toThrow(MalformedHeaders);
  });

  test("throws only MalformedHeaders, for any input", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (block) => {
        try {
          createHeaderDecoder()(block);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedHeaders);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
