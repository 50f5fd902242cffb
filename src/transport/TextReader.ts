// A shorter way in for small text frames: those that lie whole in a chunk are read from it, before `ws` takes the chunk apart
// with a buffer, a state and an event for each, which costs more than all that is done with a message here. A session's flood
// would fall behind bare `ws` without it (`npm run bench -- ws`).
//
// Everything else is left to `ws` at once: from the first frame on that is not such a text, the rest of the chunk goes to the
// listener that `ws` has on the connection. All that is kept is where the next frame begins, as far as RFC 6455 section 5.2
// lets one see it. What is wrong, too large, or the end gives the connection back to `ws` for good, which refuses it as ever.

import { isUtf8 } from 'node:buffer'
import type { Duplex } from 'node:stream'

/** Who the texts are for. */
export interface TextOwner {
  /** As in the WebSocket interface: what comes when it is no longer 1 is left to `ws`. */
  readonly readyState: number
  /** Takes a text, without its number where texts have one. `number`: 0 for none. */
  takeText(text: string, number: number): void
}

const OPEN = 1
// RFC 6455 section 5.2.
const FINAL = 0x80
const RESERVED = 0x70
const OPCODE = 0x0f
const CONTINUATION = 0
const LAST_DATA = 2
const FIRST_CONTROL = 8
const CLOSE = 8
const LAST_CONTROL = 10
const FINAL_TEXT = 0x81
const FINAL_BINARY = 0x82
const MASKED = 0x80
/** Lengths up to here stand in the second byte; the next two say that two or eight bytes hold it. */
const SHORT = 125
const TWO_BYTES = 126
const LONGEST_HEADER = 10
/** Longer texts gain nothing here. */
const LONGEST_TEXT = 8192
/** Numbers with more digits are left to who reads texts. */
const MOST_DIGITS = 9
const ZERO = 0x30
const COLON = 0x3a

/** The end of the header has not come. */
const INCOMPLETE = 0
/** Wrong, too large, or a close frame. */
const FOR_WS_ALONE = -1

type OnData = (this: Duplex, chunk: Buffer) => void

export class TextReader {
  readonly #tcp: Duplex
  readonly #owner: TextOwner
  readonly #maxBytes: number
  readonly #numbered: boolean
  /** The listener of `ws`. */
  readonly #ws: OnData
  readonly #onData = (chunk: Buffer): void => this.#read(chunk)
  /** What has come of a header that lies across chunks. `ws` has it, too. */
  #header: Buffer | undefined
  /** Bytes to come of the frame that `ws` is reading. */
  #missing = 0
  /** Whether that frame is a whole message. */
  #isMessage = false
  #told = false
  /** Whether `ws` stands between two fragments of a message. */
  #fragmented = false

  /**
   * Puts itself before the listener of `ws`, if that is the only one.
   * @param tcp the connection of a `ws` that has just opened
   * @param options `maxBytes`: longer messages are refused by `ws`; `numbered`: whether `number:text` is a text with its number
   */
  static attach(
    tcp: Duplex,
    owner: TextOwner,
    options: { maxBytes: number; numbered: boolean },
  ): TextReader | undefined {
    const [listener, another] = tcp.listeners('data')
    return listener && !another ? new TextReader(tcp, owner, options, listener as OnData) : undefined
  }

  private constructor(
    tcp: Duplex,
    owner: TextOwner,
    { maxBytes, numbered }: { maxBytes: number; numbered: boolean },
    ws: OnData,
  ) {
    this.#tcp = tcp
    this.#owner = owner
    this.#maxBytes = maxBytes
    this.#numbered = numbered
    this.#ws = ws
    tcp.removeListener('data', ws)
    tcp.on('data', this.#onData)
  }

  /** A message has come by way of `ws`. */
  messageTold(): void {
    this.#told = true
  }

  #read(chunk: Buffer): void {
    // What is left in a connection that is gone, `ws` fetches itself.
    if (this.#tcp.destroyed) return
    if (this.#owner.readyState !== OPEN) {
      this.#giveBack(chunk)
      return
    }
    let at = 0
    if (this.#header || this.#missing > 0) {
      at = this.#finishFrame(chunk)
      if (at === FOR_WS_ALONE || at === chunk.length) return
    }
    while (at < chunk.length && !this.#fragmented && chunk[at] === FINAL_TEXT) {
      const end = this.#takeText(chunk, at)
      if (end === INCOMPLETE) break
      at = end
    }
    if (at < chunk.length) this.#leave(at === 0 ? chunk : chunk.subarray(at))
  }

  /**
   * Hands on what belongs to a frame that lies across chunks.
   * @returns where what may be read here begins; `FOR_WS_ALONE`: nothing of the chunk is left
   */
  #finishFrame(chunk: Buffer): number {
    const header = this.#header
    if (header) {
      const joined = Buffer.concat([header, chunk.subarray(0, LONGEST_HEADER)])
      const end = this.#frameEnd(joined, 0)
      if (end === FOR_WS_ALONE) {
        this.#giveBack(chunk)
        return FOR_WS_ALONE
      }
      if (end === INCOMPLETE) {
        this.#header = joined
        this.#ws.call(this.#tcp, chunk)
        return FOR_WS_ALONE
      }
      this.#header = undefined
      this.#begin(joined[0] as number, end - header.length)
    }
    const rest = this.#missing
    if (rest > chunk.length) {
      this.#missing -= chunk.length
      this.#ws.call(this.#tcp, chunk)
      return FOR_WS_ALONE
    }
    this.#missing = 0
    this.#told = false
    // A frame without a payload may have come whole with its header.
    if (rest > 0) this.#ws.call(this.#tcp, chunk.subarray(0, rest))
    if (rest === chunk.length || (this.#isMessage && this.#told)) return rest
    // Whether `ws` has taken it, or found it wrong, only `ws` knows.
    this.#leave(chunk.subarray(rest))
    return FOR_WS_ALONE
  }

  /** Leaves what begins with a frame to `ws`, and follows it to its end. */
  #leave(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const end = this.#frameEnd(bytes, at)
      if (end === FOR_WS_ALONE) {
        this.#giveBack(bytes)
        return
      }
      if (end === INCOMPLETE) {
        // A copy: the chunk is larger by far, and must not be held for its last bytes.
        this.#header = Buffer.from(bytes.subarray(at))
        break
      }
      this.#begin(bytes[at] as number, end - bytes.length)
      at = end
    }
    this.#ws.call(this.#tcp, bytes)
  }

  #begin(first: number, missing: number): void {
    this.#missing = Math.max(0, missing)
    this.#isMessage = first === FINAL_TEXT || first === FINAL_BINARY
    if ((first & OPCODE) <= LAST_DATA) this.#fragmented = (first & FINAL) === 0
  }

  #giveBack(bytes: Buffer): void {
    const tcp = this.#tcp
    tcp.removeListener('data', this.#onData)
    tcp.on('data', this.#ws)
    this.#ws.call(tcp, bytes)
  }

  /** Where the frame at `at` ends, which may be behind the last byte. */
  #frameEnd(bytes: Buffer, at: number): number {
    const first = bytes[at] as number
    const opcode = first & OPCODE
    const control = opcode >= FIRST_CONTROL
    if ((first & RESERVED) !== 0 || opcode === CLOSE || opcode > LAST_CONTROL) return FOR_WS_ALONE
    if (control ? (first & FINAL) === 0 : opcode > LAST_DATA) return FOR_WS_ALONE
    if (!control && (opcode === CONTINUATION) !== this.#fragmented) return FOR_WS_ALONE
    if (at + 1 >= bytes.length) return INCOMPLETE
    const second = bytes[at + 1] as number
    if ((second & MASKED) !== 0 || (control && second > SHORT)) return FOR_WS_ALONE
    const start = second <= SHORT ? at + 2 : second === TWO_BYTES ? at + 4 : at + LONGEST_HEADER
    if (start > bytes.length) return INCOMPLETE
    const length =
      second <= SHORT
        ? second
        : second === TWO_BYTES
          ? bytes.readUInt16BE(at + 2)
          : Number(bytes.readBigUInt64BE(at + 2))
    return !control && length > this.#maxBytes ? FOR_WS_ALONE : start + length
  }

  /** Takes the text frame at `at`, if it is whole, short and right. Returns its end; `INCOMPLETE` when it is left to `ws`. */
  #takeText(bytes: Buffer, at: number): number {
    const second = bytes[at + 1] as number
    const start = at + (second <= SHORT ? 2 : 4)
    // Masked, or longer than two bytes can say, or cut off: these comparisons fail.
    if (!(second <= TWO_BYTES) || start > bytes.length) return INCOMPLETE
    const length = second <= SHORT ? second : ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)
    const end = start + length
    if (end > bytes.length || length > LONGEST_TEXT || length > this.#maxBytes) return INCOMPLETE
    const colon = this.#numbered ? colonAfterNumber(bytes, start, end) : 0
    const text = textOf(bytes, colon > 0 ? colon + 1 : start, end)
    if (text === undefined) return INCOMPLETE
    this.#owner.takeText(text, colon > 0 ? numberOf(bytes, start, colon) : 0)
    return end
  }
}

/** The text of a payload; `undefined` when it is none. */
function textOf(bytes: Buffer, start: number, end: number): string | undefined {
  const text = bytes.toString('utf8', start, end)
  // What is wrong becomes this character; most texts can be seen at once to hold none.
  return text.includes('\ufffd') && !isUtf8(bytes.subarray(start, end)) ? undefined : text
}

/** Where the colon stands of a payload `number:text`; 0 when it is none. */
function colonAfterNumber(bytes: Uint8Array, start: number, end: number): number {
  if (bytes[start] === ZERO) return 0
  const last = Math.min(end, start + MOST_DIGITS + 1)
  for (let at = start; at < last; at += 1) {
    const byte = bytes[at] as number
    if (byte === COLON) return at > start ? at : 0
    if (byte < ZERO || byte > ZERO + 9) return 0
  }
  return 0
}

/** The number of the digits from `start` to `end`. */
function numberOf(bytes: Uint8Array, start: number, end: number): number {
  let number = 0
  for (let at = start; at < end; at += 1) number = number * 10 + ((bytes[at] as number) - ZERO)
  return number
}
