// A text frame of RFC 6455 (section 5.2) in one piece, as a server sends it: not masked. `ws` makes two of it, its header and its
// payload, and the system call that writes two pieces costs more than one that writes one.

/** Longer texts gain nothing here. In UTF-16 units, of which each becomes three bytes at most: two bytes hold that length. */
export const LONGEST_TEXT = 16_384

const FINAL_TEXT = 0x81
/** A length that is followed by two bytes that hold it, and the longest that needs none. */
const TWO_BYTES = 126
const SHORT = 125

/** @param text of at most `LONGEST_TEXT` units */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const start = length <= SHORT ? 2 : 4
  const frame = Buffer.allocUnsafe(start + length)
  frame[0] = FINAL_TEXT
  if (length <= SHORT) frame[1] = length
  else {
    frame[1] = TWO_BYTES
    frame[2] = length >> 8
    frame[3] = length
  }
  frame.write(text, start)
  return frame
}
