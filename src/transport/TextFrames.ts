// The text frames of one turn, one behind the other in one buffer: a burst of small messages then costs one write, no
// string is glued together and no buffer is made for each. Masked, as a client has to (RFC 6455 sections 5.2 and 5.3).
//
// `ws` would make of each of them its bytes, a header, and two writes: more than all that is done with a message before.

import { randomFillSync } from 'node:crypto'

/** Texts that are longer gain nothing here. In UTF-16 units, of which each becomes three bytes at most. */
export const LONGEST_TEXT = 1024
const LONGEST_FRAME = 8 + 11 + 3 * LONGEST_TEXT
const CHUNK = 16 * 1024
/** FIN and the opcode of a text. */
const FINAL_TEXT = 0x81
/** A length that is followed by two bytes that hold it, and the longest that needs none. */
const TWO_BYTES = 126
const SHORT = 125
const MASKED = 0x80
const MASK_LENGTH = 4
const COLON = 0x3a
const ZERO = 0x30

export class TextFrames<Owner> {
  /** Whose frames are there, and have not been taken. */
  owner: Owner | undefined
  #chunk = Buffer.allocUnsafeSlow(CHUNK)
  #words = new Int32Array(this.#chunk.buffer)
  #start = 0
  #end = 0
  readonly #masks = new Uint8Array(4096)
  #masksUsed = this.#masks.length
  readonly #key = new Uint8Array(MASK_LENGTH)
  readonly #keyWord = new Int32Array(this.#key.buffer)

  /** Whether another frame has room behind those that are there; if not, `take` makes some. */
  get hasRoom(): boolean {
    return this.#chunk.length - this.#end >= LONGEST_FRAME
  }

  /** Bytes that are there and have not been taken. */
  get length(): number {
    return this.#end - this.#start
  }

  /** Appends the frame of `number:text`, or of `text` for 0; `text` has `LONGEST_TEXT` units at most, and there is room. */
  append(number: number, text: string): void {
    const chunk = this.#chunk
    const at = this.#end
    const prefix = number === 0 ? 0 : digitsOf(number) + 1
    const guess = prefix + text.length
    // Right for plain ASCII; else the payload moves.
    let from = at + (guess <= SHORT ? 2 : 4) + MASK_LENGTH
    if (prefix > 0) this.#writeNumber(number, from + prefix - 1)
    const length = prefix + chunk.write(text, from + prefix)
    if (guess <= SHORT && length > SHORT) {
      chunk.copyWithin(from + 2, from, from + length)
      from += 2
    }
    chunk[at] = FINAL_TEXT
    if (length <= SHORT) chunk[at + 1] = length | MASKED
    else {
      chunk[at + 1] = TWO_BYTES | MASKED
      chunk[at + 2] = length >> 8
      chunk[at + 3] = length
    }
    this.#mask(from, length)
    this.#end = from + length
  }

  /** The frames that were appended since, which are the caller's from now on. */
  take(): Buffer {
    const frames = this.#chunk.subarray(this.#start, this.#end)
    this.#start = this.#end
    if (!this.hasRoom) {
      this.#chunk = Buffer.allocUnsafeSlow(CHUNK)
      this.#words = new Int32Array(this.#chunk.buffer)
      this.#start = 0
      this.#end = 0
    }
    return frames
  }

  /** Its digits, which end before `colonAt`, and the colon: by way of a string they cost twice as much. */
  #writeNumber(number: number, colonAt: number): void {
    const chunk = this.#chunk
    chunk[colonAt] = COLON
    let left = number
    for (let at = colonAt - 1; left > 0; at -= 1) {
      const rest = (left / 10) >>> 0
      chunk[at] = ZERO + left - rest * 10
      left = rest
    }
  }

  /** Writes a fresh mask before the payload and lays it over that: by words where it can, for bytes are four times slower. */
  #mask(from: number, length: number): void {
    if (this.#masksUsed === this.#masks.length) {
      randomFillSync(this.#masks)
      this.#masksUsed = 0
    }
    const chunk = this.#chunk
    const words = this.#words
    const key = this.#key
    // Turned so that the byte at any place of the chunk is masked by the key's at the same place modulo four.
    for (let place = from - MASK_LENGTH; place < from; place += 1) {
      const byte = this.#masks[this.#masksUsed++] as number
      chunk[place] = byte
      key[place & 3] = byte
    }
    const to = from + length
    let place = from
    for (; (place & 3) !== 0 && place < to; place += 1) chunk[place]! ^= key[place & 3]!
    const word = this.#keyWord[0] as number
    for (; place + 4 <= to; place += 4) words[place >> 2]! ^= word
    for (; place < to; place += 1) chunk[place]! ^= key[place & 3]!
  }
}

function digitsOf(number: number): number {
  let digits = 1
  for (let least = 10; least <= number; least *= 10) digits += 1
  return digits
}
