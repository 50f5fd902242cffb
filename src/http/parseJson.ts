// JSON from others. `JSON.parse` makes an own property of a key "__proto__"; whoever copies it field by field into another
// object has then changed that object's prototype. No answer has a use for it: it is left out, at any depth.

/** Letters of the key may be written as escapes. */
const MAY_HOLD_PROTO = /__proto__|\\u00(?:5f|70|72|6f|74)/i

/** @throws SyntaxError, whose message quotes the text: not to be passed on */
export function parseJson(text: string): unknown {
  if (!MAY_HOLD_PROTO.test(text)) return JSON.parse(text)
  return JSON.parse(text, (key, value: unknown) => (key === '__proto__' ? undefined : value))
}
